// One unit: its lines over time, and the text coloured by it.

const MOST_TOKENS = 2000;

class UnitView {
  constructor(states) {
    this.states = states;
    this.chart = new LineChart(byId("lines"));
    const shown = ["matrix", "unit", "step", "from", "to", "hover"];
    states.store.watch([...shown, "trouble"], () => this.showLines());
    states.store.watch([...shown, "limit", "span"], () => this.showText());
    new ResizeObserver(() => this.showLines()).observe(byId("lines"));
    listenToKeys(byId("text"), this.keysOnText());
  }

  redraw() {
    this.showLines();
    this.showText();
  }

  // Every array of the layer that has this unit: those of another width have other units.
  async showLines() {
    const { states } = this;
    const { layer, series, sequence, unit, from, to, step, hover, matrix } = states.values;
    if (!matrix) return;
    this.turn = (this.turn || 0) + 1;
    const { turn } = this;
    const alike = states.facts.layers[layer].series
      .map((id) => states.facts.series[id])
      .filter((one) => one.units === series.units && one.steps === series.steps);
    const found = await Promise.all(alike.map((one) => states.source.line(one, sequence, unit, from, to)))
      .catch(() => []);
    if (turn !== this.turn || !found.length) return;
    const lines = found.map((one, place) => ({ ...one, style: lineStyle(place) }));
    const cursor = hover ? hover.step : step;
    this.chart.draw({ lines, view: states.view, cursor });
    this.showLegend(lines, cursor);
  }

  showLegend(lines, cursor) {
    const at = byId("lines-legend");
    const { series } = this.states.values;
    const words = `unit ${nameOf(series.unit_names, this.states.values.unit)}, `
      + `timestep ${nameOf(series.step_names, cursor)}:`;
    at.replaceChildren(element("li", {}, words), ...lines.map(({ matrix, row, style }) => {
      const value = matrix.holds(cursor) ? matrix.roughText(row, matrix.binOf(cursor)) : "";
      return element("li", {}, lineSample(style), ` ${matrix.series.label} ${value}`);
    }));
  }

  // A token of the listbox for each timestep that is shown; just one of them is a stop of Tab.
  showText() {
    const { matrix, unit, from, to, step } = this.states.values;
    if (!matrix) return;
    const tokens = this.states.tokens(matrix);
    byId("text-part").hidden = !tokens;
    if (!tokens) return;
    const last = Math.min(to, from + MOST_TOKENS);
    const key = JSON.stringify([matrix.series.id, matrix.sequence, from, last]);
    if (key !== this.textKey) this.writeTokens(tokens, from, last);
    this.textKey = key;
    const focused = byId("text").contains(document.activeElement);
    this.spans.forEach((span, place) => this.colourToken(span, matrix, unit, from + place));
    const stop = this.spans[clamp(step, from, last - 1) - from];
    stop.tabIndex = 0;
    if (focused) stop.focus();
  }

  writeTokens(tokens, from, last) {
    this.spans = [];
    for (let step = from; step < last; step += 1) {
      this.spans.push(element("span", {
        role: "option", onclick: () => this.states.goTo(step, this.states.values.unit, false),
      }, tokens[step] || "·"));
    }
    byId("text").replaceChildren(...this.spans);
  }

  colourToken(span, matrix, unit, step) {
    const { states } = this;
    const value = matrix.holds(step) ? matrix.extreme(unit, matrix.binOf(step)) : 0;
    const { span: chosen } = states.values;
    const inSpan = chosen ? step >= chosen[0] && step < chosen[1] : step === states.values.step;
    span.style.backgroundColor = states.colours.css(value, states.limit);
    span.style.color = states.colours.textOn(value, states.limit);
    span.tabIndex = -1;
    span.setAttribute("aria-selected", String(inSpan));
    span.title = states.sentence(step, unit);
  }

  keysOnText() {
    const { states } = this;
    return {
      move: (steps, rows, extend) => states.move(steps || rows, 0, extend),
      edge: (toEnd, extend) => states.edge(toEnd, extend),
      span: (from) => states.span(from),
      zoom: (factor) => states.zoom(factor),
      showAll: () => states.showAll(),
    };
  }
}

// A short piece of the line, as it is drawn.
function lineSample(style) {
  const canvas = element("canvas", { class: "sample", width: 48, height: 16, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  context.strokeStyle = style.colour;
  context.lineWidth = 4;
  context.setLineDash(style.dash.map((part) => 2 * part));
  context.moveTo(0, 8);
  context.lineTo(48, 8);
  context.stroke();
  return canvas;
}
