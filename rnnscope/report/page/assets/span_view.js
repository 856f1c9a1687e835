// The units that are on throughout a span, and where else they are on together.

class SpanView {
  constructor(states) {
    this.states = states;
    const { store, values } = states;
    const name = (step) => nameOf(values.series.step_names, step);
    const at = (text) => placeOf(values.series.step_names, text, values.series.steps);
    const fields = [
      numberField("span-from", () => (values.span ? name(values.span[0]) : null), (from) => (
        this.choose(from === null ? null : at(from), (values.span || [0, 0])[1] - 1))),
      numberField("span-to", () => (values.span ? name(values.span[1] - 1) : null), (to) => (
        this.choose((values.span || [null])[0], to === null ? null : at(to)))),
      numberField("threshold", () => (values.matrix ? states.threshold : values.threshold),
        (threshold) => store.set({ threshold })),
    ];
    byId("side").addEventListener("change", (event) => (
      store.set({ side: event.target.value, threshold: null })));
    byId("span-clear").addEventListener("click", () => states.span(null));
    store.watch(["span", "threshold", "side", "limit", "matrix"], () => {
      fields.forEach((show) => show());
      byId("span-clear").disabled = !values.span;
      this.search();
    });
  }

  // One end alone makes a span of one timestep; ends that are the wrong way round are turned.
  choose(from, last) {
    if (from === null && last === null) return this.states.span(null);
    const first = from ?? last;
    const end = last === null || last < 0 ? first : last;
    return this.states.span(Math.min(first, end), Math.max(first, end) + 1);
  }

  async search() {
    const { states } = this;
    const { series, sequence, span, side, matrix } = states.values;
    if (!matrix) return;
    if (!span) return this.clear();
    const rule = { side, threshold: states.threshold };
    const key = JSON.stringify([series.id, sequence, span, rule]);
    if (key === this.key) return;
    this.key = key;
    try {
      const where = { sequence, from: span[0], to: span[1] };
      const found = await states.source.together(series, where, rule);
      if (key === this.key) this.show(found, series, span, rule);
    } catch (error) {
      if (key === this.key) byId("together-result").textContent = `This could not be searched: ${error.message}`;
    }
  }

  clear() {
    this.key = null;
    byId("together-result").textContent = "Select a span of timesteps: drag across the heatmap, hold "
      + "Shift with the arrow keys, or type its ends.";
    byId("together-units").replaceChildren();
    byId("together-places").replaceChildren();
    byId("together-places").hidden = true;
  }

  show({ units, places, searched }, series, [from, to], { side, threshold }) {
    const { states } = this;
    const name = (step) => nameOf(series.step_names, step);
    const words = side === "above" ? `at least ${threshold}` : `at most ${threshold}`;
    byId("together-result").textContent = `${count(units.length, "unit")} of ${series.units}: ${series.array} is `
      + `${words} at every valid timestep from ${name(from)} to ${name(to - 1)}.`;
    byId("together-units").replaceChildren(...units.map((unit) => element("li", {}, element("button", {
      type: "button", onclick: () => states.store.set({ unit }),
    }, nameOf(series.unit_names, unit)))));
    const texts = places.map((place) => this.textOf(place, series));
    const hasText = texts.some(Boolean);
    const rows = places.map((place, at) => (
      this.row(place, series, units.length, hasText ? [texts[at]] : [])));
    const region = byId("together-places");
    region.hidden = !units.length;
    const where = searched < series.sequence_count
      ? `in ${searched} of ${series.sequence_count} sequences` : "in all sequences";
    const heads = ["sequence", "timesteps", "of these units", "other units",
      ...(hasText ? ["text"] : []), "place"];
    region.replaceChildren(rows.length
      ? tableOf(`Where else they are on together, ${where}`, heads, rows)
      : element("p", {}, `Nowhere else are even half of these units on together, ${where}.`));
  }

  row(place, series, many, text) {
    const { states } = this;
    const name = (step) => nameOf(series.step_names, step);
    const last = name(place.to - 1);
    const steps = place.to - place.from > 1 ? `${name(place.from)} to ${last}` : last;
    return [place.sequence, steps, `${place.together} of ${many}`, place.others,
      ...text,
      element("button", {
        type: "button",
        "aria-label": `Show sequence ${place.sequence}, timesteps ${steps}`,
        onclick: () => states.goToPlace(place.sequence, place.from, [place.from, place.to]),
      }, "Show")];
  }

  textOf(place, series) {
    const { facts } = this.states;
    const words = place.text ?? (series.tokens
      ? facts.tokens[series.tokens[series.sequences.indexOf(place.sequence)]].slice(place.from, place.to)
      : []);
    return words.slice(0, 12).join(" ") + (words.length > 12 ? " …" : "");
  }
}
