// What the pointer and the keys do on a heatmap. `desk` is what they act on:
//   hover(place or null), select(place), span(from, to or null), move(steps, rows, extend),
//   edge(toEnd, extend), zoom(factor), showAll().

const ZOOM = 2;

function listenToPointer(heatmap, desk) {
  const { root } = heatmap;
  let begun = null;
  const place = (event) => heatmap.placeAt(event.clientX, event.clientY);

  root.addEventListener("pointerdown", (event) => {
    const at = place(event);
    if (!at || event.button !== 0) return;
    begun = at;
    root.setPointerCapture(event.pointerId);
    desk.select(at);
  });
  root.addEventListener("pointermove", (event) => {
    const at = place(event);
    desk.hover(at);
    if (!begun || !at || at.step === begun.step) return;
    desk.span(Math.min(begun.step, at.step), Math.max(begun.step, at.step) + 1);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    root.addEventListener(end, () => { begun = null; });
  }
  root.addEventListener("pointerleave", () => desk.hover(null));
  root.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return; // a plain wheel scrolls the page
    event.preventDefault();
    desk.zoom(event.deltaY < 0 ? ZOOM : 1 / ZOOM);
  }, { passive: false });
}

const KEYS = {
  ArrowLeft: (desk, extend) => desk.move(-1, 0, extend),
  ArrowRight: (desk, extend) => desk.move(1, 0, extend),
  ArrowUp: (desk) => desk.move(0, -1, false),
  ArrowDown: (desk) => desk.move(0, 1, false),
  PageUp: (desk) => desk.move(0, -10, false),
  PageDown: (desk) => desk.move(0, 10, false),
  Home: (desk, extend) => desk.edge(false, extend),
  End: (desk, extend) => desk.edge(true, extend),
  Escape: (desk) => desk.span(null),
  "+": (desk) => desk.zoom(ZOOM),
  "=": (desk) => desk.zoom(ZOOM),
  "-": (desk) => desk.zoom(1 / ZOOM),
  0: (desk) => desk.showAll(),
};

function listenToKeys(element, desk) {
  element.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act(desk, event.shiftKey);
  });
}
