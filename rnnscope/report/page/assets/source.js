// Where matrices come from: out of the page itself, or from the process that serves it. Both answer
// with promises, so that the rest of the page need not know.

function base64Bytes(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = characters.charCodeAt(at);
  return bytes;
}

const TYPES = { float64: Float64Array, float32: Float32Array, int16: Int16Array };
const INT16_NAN = -32768;
const INT16_INFINITE = 32767;

// Whole numbers times a step; the ends of the range stand for what is not finite.
function unscaled(whole, step) {
  const values = new Float32Array(whole.length);
  for (let at = 0; at < values.length; at += 1) {
    const number = whole[at];
    if (number === INT16_NAN) values[at] = NaN;
    else if (Math.abs(number) === INT16_INFINITE) values[at] = number > 0 ? Infinity : -Infinity;
    else values[at] = number * step;
  }
  return values;
}

class EmbeddedSource {
  constructor(facts) {
    this.facts = facts;
    this.decoded = new Map();
    this.matrices = new Map();
  }

  values(series) {
    if (!this.decoded.has(series.data)) {
      const bytes = base64Bytes(document.getElementById(series.data).textContent);
      const stored = new TYPES[series.held](bytes.buffer);
      this.decoded.set(series.data, series.held === "int16" ? unscaled(stored, series.step) : stored);
    }
    return this.decoded.get(series.data);
  }

  matrixNow(series, sequence) {
    const key = `${series.id} ${sequence}`;
    if (!this.matrices.has(key)) this.matrices.set(key, this.cutOut(series, sequence));
    return this.matrices.get(key);
  }

  cutOut(series, sequence) {
    const { bins, planes } = series;
    const size = bins * series.units;
    const values = this.values(series);
    const place = series.sequences.indexOf(sequence);
    const first = place * planes * size;
    const low = values.subarray(first, first + size);
    const high = planes > 1 ? values.subarray(first + size, first + 2 * size) : low;
    const valid = series.valid[place];
    return new Matrix(series, sequence, { start: 0, stop: series.steps, bins, low, high, valid });
  }

  async matrix(series, sequence) {
    return this.matrixNow(series, sequence);
  }

  async line(series, sequence, unit) {
    return { matrix: this.matrixNow(series, sequence), row: unit };
  }

  async ranking(series, sequence, by) {
    return series.orders[by];
  }

  async together(series, span, rule) {
    const searched = series.sequences.map((one) => this.matrixNow(series, one));
    return { ...togetherIn(searched, span, rule), searched: searched.length };
  }
}

class ServedSource {
  constructor(facts) {
    this.kept = [];
    this.lines = new Map();
    const all = new Map();
    for (const series of Object.values(facts.series)) {
      const size = series.sequence_count;
      if (!all.has(size)) all.set(size, Array.from({ length: size }, (_, place) => place));
      series.sequences = all.get(size);
    }
  }

  async ask(what, query) {
    const answer = await fetch(`${what}?${new URLSearchParams(query)}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(await answer.text());
    return answer;
  }

  // The last few answers are kept; one that has every timestep asked for serves for others, too.
  async matrix(series, sequence, from, to) {
    const fits = (one) => one.series === series && one.sequence === sequence
      && (one.from === from && one.to === to || one.bins === one.steps && one.start <= from && to <= one.stop);
    const known = this.kept.find(fits);
    if (known) return known;
    const matrix = await this.fetched("matrix", { series: series.id, sequence, from, to }, series);
    Object.assign(matrix, { from, to });
    this.kept = [matrix, ...this.kept].slice(0, 6);
    series.seen = Math.max(series.seen || 0, matrix.greatest());
    return matrix;
  }

  // One unit alone: the other arrays of a layer need not come whole for its lines.
  async line(series, sequence, unit, from, to) {
    const query = { series: series.id, sequence, from, to, unit };
    const key = JSON.stringify(query);
    if (!this.lines.has(key)) {
      if (this.lines.size >= 64) this.lines.delete(this.lines.keys().next().value);
      this.lines.set(key, await this.fetched("line", query, series, 1));
    }
    return { matrix: this.lines.get(key), row: 0 };
  }

  async fetched(what, query, series, units = series.units) {
    const body = await (await this.ask(what, query)).arrayBuffer();
    const [headSize] = new Uint32Array(body, 0, 1);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(body, 8, headSize)));
    const values = new TYPES[series.held](body, 8 * Math.ceil((8 + headSize) / 8));
    const size = head.bins * units;
    const low = values.subarray(0, size);
    const high = values.length > size ? values.subarray(size) : low;
    return new Matrix(series, query.sequence, { ...head, low, high });
  }

  async ranking(series, sequence, by) {
    return (await this.ask("ranking", { series: series.id, sequence, by })).json();
  }

  // The checks read the whole file: the page is there before they are done.
  async showChecks(place) {
    try {
      const html = await (await this.ask("checks", {})).text();
      const whole = new DOMParser().parseFromString(html, "text/html");
      place.closest("section").replaceWith(...whole.body.childNodes);
    } catch (error) {
      place.textContent = `The checks could not be run: ${error.message}`;
    }
  }

  async together(series, span, rule) {
    return (await this.ask("together", { series: series.id, ...span, ...rule })).json();
  }
}
