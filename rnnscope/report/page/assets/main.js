// Where the page begins: the facts are read, and each part that there is something for is shown.

function start() {
  const facts = JSON.parse(byId("facts").textContent);
  const source = facts.served ? new ServedSource(facts) : new EmbeddedSource(facts);
  const colours = new Colours(facts.colours);
  const redraw = [];
  if (facts.layers.length) {
    byId("states").hidden = false;
    const states = new StatesView(facts, source, colours);
    const unit = new UnitView(states);
    new SpanView(states).clear();
    redraw.push(() => states.redraw(), () => unit.redraw());
  }
  if (facts.compared.length) {
    const differences = new DifferencesView(facts, source, colours);
    redraw.push(() => { differences.draw(); differences.mark(); });
  }
  if (facts.weights.length) {
    const weights = new WeightsView(facts, source, colours);
    redraw.push(() => weights.draw());
  }
  if (byId("checks-later")) source.showChecks(byId("checks-later"));
  const everything = () => redraw.forEach((show) => show());
  colours.dark.addEventListener("change", everything);
  preparePrinting(colours, everything);
  for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
}

// Paper is white, and has no way to unfold what is folded.
function preparePrinting(colours, redraw) {
  let folded = [];
  window.addEventListener("beforeprint", () => {
    if (colours.printing) return;
    colours.printing = true;
    document.documentElement.classList.add("on-paper");
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((one) => { one.open = true; });
    redraw();
  });
  window.addEventListener("afterprint", () => {
    colours.printing = false;
    document.documentElement.classList.remove("on-paper");
    folded.forEach((one) => { one.open = false; });
    redraw();
  });
}

start();
