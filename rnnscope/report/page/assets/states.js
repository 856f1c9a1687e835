// The states of one array: heatmap, readout, and the fields that say what is shown.

class StatesView {
  constructor(facts, source, colours) {
    Object.assign(this, { facts, source, colours });
    const series = facts.series[facts.layers[0].series[0]];
    this.store = new Store({
      layer: 0, series, sequence: series.sequences[0], order: "stored", limit: null,
      step: 0, unit: 0, from: 0, to: series.steps, top: 0, bottom: series.units,
      span: null, side: "above", threshold: null, hover: null, matrix: null, rows: null,
    });
    this.heatmap = new Heatmap(byId("heatmap"), colours);
    this.fields = [];
    this.listen();
    this.show();
    this.load();
  }

  get values() {
    return this.store.values;
  }

  // What was asked for last is what is shown, in whatever order the answers come.
  async load() {
    const { series, sequence, from, to, order } = this.values;
    this.asked = (this.asked || 0) + 1;
    const turn = this.asked;
    try {
      const matrix = await this.source.matrix(series, sequence, from, to);
      const rows = await this.rowsOf(matrix, order);
      if (turn === this.asked) this.store.set({ matrix, rows, trouble: null });
    } catch (error) {
      if (turn === this.asked) this.store.set({ trouble: error.message });
    }
  }

  async rowsOf(matrix, order) {
    const stored = Array.from({ length: matrix.units }, (_, unit) => unit);
    if (order === "stored") return stored;
    if (order !== "span") return this.source.ranking(matrix.series, matrix.sequence, order);
    const { span, side } = this.values;
    if (!span) return stored;
    const strength = stored.map((unit) => spanStrength(matrix, unit, span, side));
    return stored.sort((a, b) => strength[b] - strength[a] || a - b);
  }

  get limit() {
    const { limit, series } = this.values;
    return limit ?? series.limit ?? niceLimit(series.seen);
  }

  get threshold() {
    const { threshold, side } = this.values;
    const half = Number((this.limit / 2).toPrecision(2));
    return threshold ?? (side === "above" ? half : -half);
  }

  listen() {
    this.store.watch(["series", "sequence", "from", "to", "order", "span", "side"], () => this.reload());
    this.store.watch(["matrix", "rows", "limit", "from", "to", "top", "bottom", "trouble"], () => this.draw());
    this.store.watch(["matrix", "rows", "step", "unit", "hover", "span", "from", "to", "top", "bottom", "limit"],
      () => this.mark());
    this.store.watch(Object.keys(this.values), () => this.show());
    listenToPointer(this.heatmap, this);
    listenToKeys(this.heatmap.root, this);
    this.listenToFields();
    new ResizeObserver(() => this.redraw()).observe(this.heatmap.root);
    for (const [id, factor] of [["zoom-in", ZOOM], ["zoom-out", 1 / ZOOM]]) {
      byId(id).addEventListener("click", () => this.zoom(factor));
    }
    byId("zoom-all").addEventListener("click", () => this.showAll());
  }

  // The span matters to the rows only where these are ordered by it.
  reload() {
    const { series, sequence, from, to, order, span, side } = this.values;
    const inSpan = order === "span" ? [span, side] : [];
    const range = this.facts.served ? [from, to] : [];
    const key = JSON.stringify([series.id, sequence, order, inSpan, range]);
    if (key === this.loaded && this.values.matrix) return;
    this.loaded = key;
    this.load();
  }

  listenToFields() {
    const set = (changes) => this.store.set(changes);
    byId("layer").addEventListener("change", (event) => this.chooseLayer(Number(event.target.value)));
    byId("array").addEventListener("change", (event) => this.chooseSeries(event.target.value));
    byId("order").addEventListener("change", (event) => set({ order: event.target.value }));
    const { values } = this;
    const stepName = (step) => nameOf(values.series.step_names, step);
    const stepAt = (name) => placeOf(values.series.step_names, name ?? 0, values.series.steps);
    this.fields = [
      numberField("sequence", () => values.sequence, (name) => this.chooseSequence(name ?? 0)),
      numberField("limit", () => this.limitField, (limit) => set({ limit: limit > 0 ? limit : null })),
      numberField("from", () => stepName(values.from), (name) => this.showSteps(stepAt(name), values.to)),
      numberField("to", () => stepName(values.to - 1), (name) => this.showSteps(values.from, stepAt(name) + 1)),
      numberField("unit", () => nameOf(values.series.unit_names, values.unit), (name) => set({
        unit: placeOf(values.series.unit_names, name ?? 0, values.series.units) })),
      numberField("step", () => stepName(values.step), (name) => set({ step: stepAt(name) })),
    ];
  }

  get limitField() {
    return this.values.matrix ? this.limit : this.values.limit;
  }

  chooseLayer(layer) {
    const known = this.facts.layers[layer].series.map((id) => this.facts.series[id]);
    const same = known.find((one) => one.array === this.values.series.array);
    this.store.set({ layer });
    this.chooseSeries((same || known[0]).id);
  }

  // Another array of the same shape leaves what is looked at as it is.
  chooseSeries(id) {
    const series = this.facts.series[id];
    const { values } = this;
    if (series === values.series) return;
    const changes = { series, limit: null, threshold: null, matrix: null, hover: null };
    if (!series.sequences.includes(values.sequence)) changes.sequence = series.sequences[0];
    if (series.steps !== values.series.steps) {
      Object.assign(changes, { from: 0, to: series.steps, step: 0, span: null });
    }
    if (series.units !== values.series.units) {
      Object.assign(changes, { top: 0, bottom: series.units, unit: 0 });
    }
    if (!(values.order in series.orders) && values.order !== "span") changes.order = "stored";
    this.store.set(changes);
  }

  chooseSequence(name) {
    const { sequences } = this.values.series;
    this.store.set({ sequence: sequences[placeOf(sequences, name, sequences.length)], hover: null });
  }

  // What the fields show. A select is written anew only if what it offers has changed.
  show() {
    const { layer, series, order } = this.values;
    const layers = this.facts.layers.map((one, place) => [String(place), one.label]);
    this.offer("layer", layers, String(layer));
    const arrays = this.facts.layers[layer].series.map((id) => [id, this.facts.series[id].label]);
    this.offer("array", arrays, series.id);
    const orders = Object.keys(series.orders).map((by) => [by, `by ${by}, highest first`]);
    this.offer("order", [["stored", "as stored"], ...orders, ["span", "by the span, strongest first"]], order);
    byId("held").textContent = series.held_words;
    this.fields.forEach((show) => show());
  }

  offer(id, entries, chosen) {
    const key = JSON.stringify(entries);
    const select = byId(id);
    if (select.dataset.offers !== key) fillSelect(select, entries, chosen);
    select.dataset.offers = key;
    select.value = chosen;
  }

  get view() {
    const { from, to, top, bottom } = this.values;
    return { from, to, top, bottom };
  }

  draw() {
    const { matrix, rows, trouble } = this.values;
    byId("readout").classList.toggle("bad", Boolean(trouble));
    if (trouble) byId("readout").textContent = `The values could not be fetched: ${trouble}`;
    if (!matrix || !rows) return;
    const height = clamp((this.view.bottom - this.view.top) * 10, 140, 480);
    this.heatmap.root.style.height = `${height + MARGIN.top + MARGIN.bottom}px`;
    this.heatmap.draw({ matrix, view: this.view, order: rows, limit: this.limit });
    this.drawLegend();
  }

  redraw() {
    this.draw();
    this.mark();
  }

  drawLegend() {
    const { context, width, height } = freshContext(byId("legend-map"));
    for (let x = 0; x < width; x += 1) {
      context.fillStyle = this.colours.css((2 * x / (width - 1) - 1), 1);
      context.fillRect(x, 0, 1, height);
    }
    byId("legend-low").textContent = `−${roughText(this.limit)}`;
    byId("legend-high").textContent = roughText(this.limit);
  }

  mark() {
    const { matrix, rows, hover, step, unit, span, trouble } = this.values;
    if (!matrix || !rows) return;
    const cursor = hover || { step, row: rows.indexOf(unit) };
    this.heatmap.mark({ cursor, span });
    if (!trouble) byId("readout").textContent = this.sentence(cursor.step, rows[cursor.row]);
  }

  // The place in words, with its value: what hovering shows and what the keys speak.
  sentence(step, unit) {
    const { matrix, series, sequence } = this.values;
    if (unit === undefined || !matrix.holds(step)) return "";
    const bin = matrix.binOf(step);
    const from = matrix.edge(bin);
    const to = matrix.edge(bin + 1);
    const name = (place) => nameOf(series.step_names, place);
    const steps = to - from > 1 ? `timesteps ${name(from)} to ${name(to - 1)}` : `timestep ${name(from)}`;
    const token = this.tokens(matrix)?.[step];
    return [`sequence ${sequence}`, token ? `${steps} “${token}”` : steps,
      `unit ${nameOf(series.unit_names, unit)}`,
    ].join(", ") + `: ${series.array} = ${matrix.text(unit, bin)}`
      + (matrix.binIsValid[bin] ? "" : " (past the length)");
  }

  tokens(matrix) {
    if (matrix.tokens) return matrix.tokens;
    const { tokens, sequences } = matrix.series;
    return tokens ? this.facts.tokens[tokens[sequences.indexOf(matrix.sequence)]] : null;
  }

  speak() {
    const { matrix, rows, step, unit, span, series } = this.values;
    if (!matrix || !rows) return;
    const name = (place) => nameOf(series.step_names, place);
    const words = span ? `; span of timesteps ${name(span[0])} to ${name(span[1] - 1)}` : "";
    byId("spoken").textContent = this.sentence(step, unit) + words;
  }

  // What pointer and keys do: see heatmap_input.js.

  hover(place) {
    const { hover } = this.values;
    if (place && hover && place.step === hover.step && place.row === hover.row) return;
    this.store.set({ hover: place });
  }

  select({ step, row }) {
    const { rows } = this.values;
    this.anchor = step;
    this.store.set({ step, unit: rows[row] });
  }

  span(from, to) {
    this.store.set({ span: from === null ? null : [from, to], hover: null });
  }

  move(steps, rows, extend) {
    const { values } = this;
    if (!values.rows) return;
    const row = clamp(values.rows.indexOf(values.unit) + rows, 0, values.rows.length - 1);
    this.goTo(values.step + steps, values.rows[row], extend);
  }

  edge(toEnd, extend) {
    this.goTo(toEnd ? this.values.series.steps - 1 : 0, this.values.unit, extend);
  }

  goTo(wanted, unit, extend) {
    const { values } = this;
    const step = clamp(wanted, 0, values.series.steps - 1);
    if (!extend) this.anchor = step;
    this.anchor ??= values.step;
    this.store.set({ step, unit, hover: null });
    if (extend) this.span(Math.min(this.anchor, step), Math.max(this.anchor, step) + 1);
    this.follow();
    requestAnimationFrame(() => this.speak());
  }

  // The view moves along, so that the place the keys went to can be seen.
  follow() {
    const { step, unit, from, to, top, bottom, rows, series } = this.values;
    const row = rows ? rows.indexOf(unit) : 0;
    this.store.set({ ...shifted(from, to, step, series.steps, ["from", "to"]),
      ...shifted(top, bottom, row, series.units, ["top", "bottom"]) });
  }

  showSteps(from, to) {
    const { steps } = this.values.series;
    const first = clamp(from, 0, steps - 1);
    this.store.set({ from: first, to: clamp(to, first + 1, steps), hover: null });
  }

  zoom(factor) {
    const { step, unit, rows, from, to, top, bottom, series } = this.values;
    const row = rows ? rows.indexOf(unit) : 0;
    const [left, right] = zoomed(from, to, step, factor, series.steps);
    const [first, end] = zoomed(top, bottom, row, factor, series.units);
    this.store.set({ from: left, to: right, top: first, bottom: end, hover: null });
  }

  showAll() {
    const { steps, units } = this.values.series;
    this.store.set({ from: 0, to: steps, top: 0, bottom: units, hover: null });
  }

  goToPlace(sequence, step, span) {
    this.store.set({ sequence, step, span });
    this.follow();
  }
}
