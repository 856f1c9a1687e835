// One sequence of one array: units by bins of timesteps. Where a bin is one timestep, low and high
// are the same values; else they are the least and the greatest of the valid timesteps in it.

class Matrix {
  // start, stop: the timesteps that it covers; bins: their number, as even as can be;
  // low, high: a value for each unit and bin; valid: spans [from, to) of timesteps.
  constructor(series, sequence, parts) {
    Object.assign(this, { series, sequence }, parts);
    this.units = series.units;
    this.steps = this.stop - this.start;
    this.binIsValid = this.markValid();
  }

  markValid() {
    const marks = new Uint8Array(this.bins);
    for (const [from, to] of this.valid) {
      const first = Math.max(from, this.start);
      const end = Math.min(to, this.stop);
      if (first < end) marks.fill(1, this.binOf(first), this.binOf(end - 1) + 1);
    }
    return marks;
  }

  edge(bin) {
    return this.start + Math.floor(bin * this.steps / this.bins);
  }

  binOf(step) {
    const bin = Math.ceil((step - this.start + 1) * this.bins / this.steps) - 1;
    return clamp(bin, 0, this.bins - 1);
  }

  holds(step) {
    return step >= this.start && step < this.stop;
  }

  // The end of the bin that is further from zero: what stands out is never lost.
  extreme(unit, bin) {
    const at = unit * this.bins + bin;
    const low = this.low[at];
    const high = this.high[at];
    return -low > high ? low : high;
  }

  text(unit, bin) {
    const at = unit * this.bins + bin;
    const low = numberText(this.low[at], this.series);
    const high = numberText(this.high[at], this.series);
    return low === high ? low : `${low} to ${high}`;
  }

  // The same with fewer digits, where several values stand beside each other.
  roughText(unit, bin) {
    const at = unit * this.bins + bin;
    const [low, high] = [this.low[at], this.high[at]].map((value) => String(Number(value.toPrecision(5))));
    return low === high ? low : `${low} to ${high}`;
  }

  // The least and the greatest value of some bins; NaN if one of them is.
  rangeOf(unit, from, to) {
    let low = Infinity;
    let high = -Infinity;
    for (let at = unit * this.bins + from; at < unit * this.bins + to; at += 1) {
      low = Math.min(low, this.low[at]);
      high = Math.max(high, this.high[at]);
    }
    return [low, high];
  }

  greatest() {
    let most = 0;
    for (const values of this.low === this.high ? [this.low] : [this.low, this.high]) {
      for (let at = 0; at < values.length; at += 1) {
        const size = Math.abs(values[at]);
        if (size > most && size < Infinity) most = size;
      }
    }
    return most;
  }
}
