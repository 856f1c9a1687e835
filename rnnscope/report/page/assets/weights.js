// The difference of two checkpoints' weights as pictures: rows down, the columns of each gate across.

class WeightsView {
  constructor(facts, source, colours) {
    Object.assign(this, { facts, source, colours });
    this.select = element("select", {
      onchange: (event) => this.show(Number(event.target.value)),
    }, ...facts.weights.map((one, at) => element("option", { value: at }, one.label)));
    this.root = element("div", {
      class: "heatmap", role: "application", tabindex: 0, "aria-roledescription": "heatmap",
      "aria-label": "A − B: rows down, columns of each gate across",
    });
    this.readout = element("p", { class: "readout", role: "status" });
    this.legend = element("p", { class: "hint" });
    byId("blocks").append(
      element("form", { class: "controls", "aria-label": "Which weight" }, element("label", {}, "A − B of ", this.select)),
      this.root, this.readout, this.legend,
    );
    this.heatmap = new Heatmap(this.root, colours);
    listenToPointer(this.heatmap, this);
    listenToKeys(this.root, this);
    new ResizeObserver(() => this.draw()).observe(this.root);
    this.show(0);
  }

  show(at) {
    this.block = this.facts.weights[at];
    const series = this.facts.series[this.block.series];
    this.matrix = this.source.matrixNow(series, 0);
    this.place = { step: 0, row: 0 };
    this.root.style.height = `${clamp(series.units * 10, 60, 360) + MARGIN.top + MARGIN.bottom}px`;
    this.legend.textContent = `Colours end at ±${roughText(series.limit)}. ${series.held_words}`;
    this.draw();
  }

  draw() {
    const { series } = this.matrix;
    const order = Array.from({ length: series.units }, (_, row) => row);
    this.heatmap.draw({
      matrix: this.matrix, view: { from: 0, to: series.steps, top: 0, bottom: series.units }, order,
      limit: series.limit, gates: this.block.gates,
    });
    this.mark();
  }

  mark() {
    this.heatmap.mark({ cursor: this.place });
    this.readout.textContent = this.sentence();
  }

  // Where a gate's columns, or the rows, were put together, their first and last are named.
  sentence() {
    const { gates, columns, rows } = this.block;
    const { series } = this.matrix;
    const each = series.steps / gates.length;
    const gate = gates[Math.floor(this.place.step / each)];
    const column = rangeWords("column", this.place.step % each, each, columns);
    const row = rangeWords("row", this.place.row, series.units, rows);
    const value = this.matrix.text(this.place.row, this.place.step);
    return `${gate ? `gate ${gate}, ` : ""}${column}, ${row}: A − B = ${value}`;
  }

  hover(place) {
    if (place) this.goTo(place.step, place.row);
  }

  select(place) {
    this.hover(place);
  }

  span() {}

  zoom() {}

  showAll() {}

  move(steps, rows) {
    this.goTo(this.place.step + steps, this.place.row + rows);
  }

  edge(toEnd) {
    this.goTo(toEnd ? this.matrix.series.steps - 1 : 0, this.place.row);
  }

  goTo(step, row) {
    const { series } = this.matrix;
    this.place = { step: clamp(step, 0, series.steps - 1), row: clamp(row, 0, series.units - 1) };
    this.mark();
  }
}

function rangeWords(noun, bin, bins, size) {
  const first = Math.floor(bin * size / bins);
  const last = Math.floor((bin + 1) * size / bins) - 1;
  return first === last ? `${noun} ${first}` : `${noun}s ${first} to ${last}`;
}
