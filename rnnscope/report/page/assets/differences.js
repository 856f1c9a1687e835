// Traces side by side: the first, each other one, and their differences; where they part is marked.
// All pictures show the same timesteps and units, and one place is looked at in all of them.

class DifferencesView {
  constructor(facts, source, colours) {
    Object.assign(this, { facts, source, colours });
    this.store = new Store({ array: 0, sequence: null, place: null, view: null, panels: null });
    this.build();
    this.store.watch(["array", "sequence"], () => this.load());
    this.store.watch(["panels", "view"], () => this.draw());
    this.store.watch(["panels", "place", "view"], () => this.mark());
    this.choose(0);
    this.load();
  }

  get values() {
    return this.store.values;
  }

  get compared() {
    return this.facts.compared[this.values.array];
  }

  build() {
    const arrays = this.facts.compared.map((one, at) => element("option", { value: at }, one.label));
    this.array = element("select", {
      onchange: (event) => this.choose(Number(event.target.value)),
    }, ...arrays);
    this.sequence = element("input", {
      type: "number", step: 1, onchange: (event) => this.goTo(event.target.valueAsNumber),
    });
    const button = (name, act) => element("button", { type: "button", onclick: act }, name);
    this.first = button("Go to where they part", () => this.goToFirst());
    this.readout = element("p", { class: "readout", role: "status" });
    this.grid = element("div", { class: "panels" });
    this.legend = element("p", { class: "hint" });
    byId("compared").append(
      element("form", { class: "controls", "aria-label": "What is compared" },
        element("label", {}, "Array ", this.array), element("label", {}, "Sequence ", this.sequence),
        element("span", { class: "buttons", role: "group", "aria-label": "Zoom and place" },
          button("Zoom in", () => this.zoom(ZOOM)), button("Zoom out", () => this.zoom(1 / ZOOM)),
          button("Show all", () => this.showAll()), this.first)),
      this.grid, this.readout, this.legend,
    );
  }

  seriesOf(id) {
    return this.facts.series[id];
  }

  choose(array) {
    const compared = this.facts.compared[array];
    const series = this.seriesOf(compared.series);
    const parting = compared.others.find((other) => other.first)?.first;
    this.store.set({
      array,
      sequence: parting && series.sequences.includes(parting.sequence) ? parting.sequence : series.sequences[0],
      place: null, panels: null,
      view: { from: 0, to: series.steps, top: 0, bottom: series.units },
    });
    this.array.value = array;
    this.first.disabled = !parting;
  }

  goTo(name) {
    const { sequences } = this.seriesOf(this.compared.series);
    this.store.set({ sequence: sequences[placeOf(sequences, name || 0, sequences.length)] });
  }

  goToFirst() {
    const first = this.compared.others.find((other) => other.first)?.first;
    if (!first) return;
    this.goTo(first.sequence);
    const series = this.seriesOf(this.compared.series);
    this.lookAt(placeOf(series.step_names, first.timestep, series.steps),
      placeOf(series.unit_names, first.unit, series.units));
  }

  // The first trace, then the others, then each difference.
  panelsWanted() {
    const { series, others } = this.compared;
    return [
      { id: series, title: "A", first: null },
      ...others.map((other) => ({ id: other.series, title: other.name, first: other.first })),
      ...others.map((other) => ({
        id: other.difference, title: `A − ${other.name}`, first: other.first, difference: true,
      })),
    ];
  }

  load() {
    const { sequence } = this.values;
    showNumber(this.sequence, sequence);
    for (const old of this.panels || []) old.watcher.disconnect();
    this.panels = this.panelsWanted()
      .filter(({ id }) => this.seriesOf(id).sequences.includes(sequence))
      .map((wanted) => this.panel(wanted, sequence));
    for (const panel of this.panels) {
      panel.caption.textContent = `${panel.title} (±${roughText(this.limitOf(panel))})`;
    }
    this.grid.replaceChildren(...this.panels.map((panel) => panel.figure));
    this.store.set({ panels: this.panels });
  }

  panel(wanted, sequence) {
    const series = this.seriesOf(wanted.id);
    const root = element("div", {
      class: "heatmap", role: "application", tabindex: 0, "aria-roledescription": "heatmap",
      "aria-label": `${wanted.title}: units down, timesteps across`, "aria-describedby": "keys",
    });
    const heatmap = new Heatmap(root, this.colours);
    const caption = element("figcaption");
    const figure = element("figure", {}, caption, root);
    const matrix = this.source.matrixNow(series, sequence);
    const order = Array.from({ length: series.units }, (_, unit) => unit);
    const panel = { ...wanted, series, figure, caption, heatmap, matrix, order };
    const desk = this.deskOf(panel);
    listenToPointer(heatmap, desk);
    listenToKeys(root, desk);
    panel.watcher = new ResizeObserver(() => this.drawPanel(panel));
    panel.watcher.observe(root);
    return panel;
  }

  // The colours of A and the others end at one value, those of each difference at its own.
  limitOf(panel) {
    if (panel.difference) return panel.series.limit;
    return Math.max(...this.panels.filter((one) => !one.difference).map((one) => one.series.limit));
  }

  draw() {
    if (!this.panels) return;
    const { view } = this.values;
    const height = clamp((view.bottom - view.top) * 10, 120, 320);
    for (const panel of this.panels) {
      panel.heatmap.root.style.height = `${height + MARGIN.top + MARGIN.bottom}px`;
      this.drawPanel(panel);
    }
    const { held_words: words } = this.panels[this.panels.length - 1].series;
    this.legend.textContent = `± says where the colours end. ${words} A ring and a line mark where the two part first.`;
  }

  drawPanel(panel) {
    panel.heatmap.draw({
      matrix: panel.matrix, view: this.viewOf(panel), order: panel.order, limit: this.limitOf(panel),
    });
    this.markPanel(panel);
  }

  // What is shown of the first trace, as places of another that may hold others.
  viewOf({ series }) {
    const { view } = this.values;
    const own = this.seriesOf(this.compared.series);
    if (series.steps === own.steps && series.units === own.units) return view;
    const step = (at) => placeOf(series.step_names, nameOf(own.step_names, at), series.steps);
    const unit = (at) => placeOf(series.unit_names, nameOf(own.unit_names, at), series.units);
    return {
      from: step(view.from), to: step(view.to - 1) + 1, top: unit(view.top), bottom: unit(view.bottom - 1) + 1,
    };
  }

  mark() {
    if (!this.panels) return;
    this.panels.forEach((panel) => this.markPanel(panel));
    this.readout.textContent = this.sentence();
  }

  markPanel(panel) {
    const { place, sequence } = this.values;
    const first = panel.first && panel.first.sequence === sequence
      ? this.cursorIn(panel, { step: panel.first.timestep, unit: panel.first.unit }) : null;
    panel.heatmap.mark({ cursor: place && this.cursorIn(panel, place), first });
  }

  // A place by the run's numbers, as a panel has it; null if it has it not.
  cursorIn({ series }, { step, unit }) {
    const at = placeOf(series.step_names, step, series.steps);
    const row = placeOf(series.unit_names, unit, series.units);
    const there = nameOf(series.step_names, at) === step && nameOf(series.unit_names, row) === unit;
    return there ? { step: at, row } : null;
  }

  sentence() {
    const { place, sequence } = this.values;
    if (!place) return "Point at a picture, or move in it with the arrow keys, to read the values.";
    const values = this.panels.flatMap((panel) => {
      const cursor = this.cursorIn(panel, place);
      return cursor ? [`${panel.title} = ${panel.matrix.text(cursor.row, panel.matrix.binOf(cursor.step))}`] : [];
    });
    return `sequence ${sequence}, timestep ${place.step}, unit ${place.unit}: ${values.join(", ")}`;
  }

  lookAt(step, unit) {
    const series = this.seriesOf(this.compared.series);
    const at = clamp(step, 0, series.steps - 1);
    const row = clamp(unit, 0, series.units - 1);
    this.cursor = { at, row };
    const { view } = this.values;
    this.store.set({
      place: { step: nameOf(series.step_names, at), unit: nameOf(series.unit_names, row) },
      view: { ...view, ...shifted(view.from, view.to, at, series.steps, ["from", "to"]),
        ...shifted(view.top, view.bottom, row, series.units, ["top", "bottom"]) },
    });
  }

  deskOf(panel) {
    const named = ({ step, row }) => ({
      step: nameOf(panel.series.step_names, step), unit: nameOf(panel.series.unit_names, row),
    });
    const now = () => this.cursor || { at: this.values.view.from, row: this.values.view.top };
    const end = () => this.seriesOf(this.compared.series).steps - 1;
    return {
      hover: (place) => { if (place) this.store.set({ place: named(place) }); },
      select: (place) => this.store.set({ place: named(place) }),
      span: () => {},
      move: (steps, rows) => this.lookAt(now().at + steps, now().row + rows),
      edge: (toEnd) => this.lookAt(toEnd ? end() : 0, now().row),
      zoom: (factor) => this.zoom(factor),
      showAll: () => this.showAll(),
    };
  }

  zoom(factor) {
    const series = this.seriesOf(this.compared.series);
    const { view, place } = this.values;
    const step = place ? placeOf(series.step_names, place.step, series.steps) : view.from;
    const row = place ? placeOf(series.unit_names, place.unit, series.units) : view.top;
    const [from, to] = zoomed(view.from, view.to, step, factor, series.steps);
    const [top, bottom] = zoomed(view.top, view.bottom, row, factor, series.units);
    this.store.set({ view: { from, to, top, bottom } });
  }

  showAll() {
    const series = this.seriesOf(this.compared.series);
    this.store.set({ view: { from: 0, to: series.steps, top: 0, bottom: series.units } });
  }
}
