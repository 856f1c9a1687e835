// Which units are on throughout a span of timesteps, and where else they are on together: what
// LSTMVis (Strobelt et al. 2016, arXiv 1606.07461) asks. A unit is on at a timestep where its value
// is at least the threshold; with the side "below", at most. Only valid timesteps count.
// rnnscope/seeing/together.py is the same rule, for traces that are served.

const MOST_PLACES = 50;
const ENOUGH_PLACES = 20;

function onIn(matrix, unit, bin, rule) {
  const at = unit * matrix.bins + bin;
  return rule.side === "above" ? matrix.low[at] >= rule.threshold : matrix.high[at] <= rule.threshold;
}

// The units that are on at every valid timestep of the bins from `first` up to, not with, `end`.
function unitsOn(matrix, first, end, rule) {
  const units = [];
  if (!matrix.binIsValid.subarray(first, end).some(Boolean)) return units;
  for (let unit = 0; unit < matrix.units; unit += 1) {
    let bin = first;
    while (bin < end && (!matrix.binIsValid[bin] || onIn(matrix, unit, bin, rule))) bin += 1;
    if (bin === end) units.push(unit);
  }
  return units;
}

// Of each bin, how many of the units are on; none where no timestep is valid.
function countsOn(matrix, units, rule) {
  const counts = new Int32Array(matrix.bins);
  for (const unit of units) {
    for (let bin = 0; bin < matrix.bins; bin += 1) {
      counts[bin] += matrix.binIsValid[bin] && onIn(matrix, unit, bin, rule);
    }
  }
  return counts;
}

// Where at least so many are on: bins from, up to, as many in a row as there are.
function runsOf(counts, least) {
  const runs = [];
  let first = null;
  for (let bin = 0; bin <= counts.length; bin += 1) {
    const on = bin < counts.length && counts[bin] >= least;
    if (on && first === null) first = bin;
    if (!on && first !== null) {
      runs.push([first, bin]);
      first = null;
    }
  }
  return runs;
}

// Places by how many of the units are on throughout, then by how few others are, then by length.
// Fewer and fewer units are asked for until there are enough places, down to half of them; a place
// that overlaps one found with more units is left out, and so is the span itself.
function placesOn(matrices, units, rule, span) {
  if (!units.length) return [];
  const searched = matrices.map((matrix) => ({
    matrix,
    counts: countsOn(matrix, units, rule),
    taken: new Uint8Array(matrix.bins),
  }));
  for (const { matrix, taken } of searched) {
    if (matrix.sequence === span.sequence) {
      taken.fill(1, matrix.binOf(span.from), matrix.binOf(span.to - 1) + 1);
    }
  }
  const places = [];
  const least = Math.max(1, Math.ceil(units.length / 2));
  for (let many = units.length; many >= least && places.length < ENOUGH_PLACES; many -= 1) {
    for (const { matrix, counts, taken } of searched) {
      for (const [first, end] of runsOf(counts, many)) {
        if (taken.subarray(first, end).some(Boolean)) continue;
        taken.fill(1, first, end);
        places.push(placeOn(matrix, first, end, units, rule));
      }
    }
  }
  places.sort((a, b) => b.together - a.together || a.others - b.others
    || b.to - b.from - (a.to - a.from) || a.sequence - b.sequence || a.from - b.from);
  return places.slice(0, MOST_PLACES);
}

function placeOn(matrix, first, end, units, rule) {
  const throughout = unitsOn(matrix, first, end, rule);
  const wanted = new Set(units);
  const together = throughout.filter((unit) => wanted.has(unit)).length;
  const others = throughout.length - together;
  const { sequence } = matrix;
  return { sequence, from: matrix.edge(first), to: matrix.edge(end), together, others };
}

function togetherIn(matrices, span, rule) {
  const own = matrices.find((matrix) => matrix.sequence === span.sequence);
  const units = unitsOn(own, own.binOf(span.from), own.binOf(span.to - 1) + 1, rule);
  return { units, places: placesOn(matrices, units, rule, span) };
}
