// Ticks of an axis at round places, and the text beside them.

function tickPlaces(from, to, most) {
  const rough = Math.max(1, (to - from) / Math.max(1, most));
  const power = 10 ** Math.floor(Math.log10(rough));
  const every = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= rough);
  const places = [];
  for (let place = Math.ceil(from / every) * every; place < to; place += every) places.push(place);
  return places;
}

// What the trace calls a timestep or a unit: it may hold some of them only.
function nameOf(names, place) {
  return names ? names[place] : place;
}

// The place of what has this name, or of the nearest name.
function placeOf(names, name, size) {
  if (!names) return clamp(Math.round(name), 0, size - 1);
  let best = 0;
  names.forEach((one, place) => {
    if (Math.abs(one - name) < Math.abs(names[best] - name)) best = place;
  });
  return best;
}

// A canvas as sharp as the screen, that is drawn on in CSS pixels; setting its size empties it.
function freshContext(canvas) {
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.font = `12px ${themeColour("--font") || "sans-serif"}`;
  return { context, width, height };
}

// Lines across the timesteps past the length; `x` tells where a timestep begins.
function hatchPadding(context, matrix, x, plot) {
  context.fillStyle = hatchPattern(context);
  let from = matrix.start;
  for (const [first, end] of [...matrix.valid, [matrix.stop, matrix.stop]]) {
    const stop = Math.min(first, matrix.stop);
    if (stop > from) context.fillRect(x(from), plot.top, x(stop) - x(from), plot.height);
    from = Math.max(from, end);
  }
}

function hatchPattern(context) {
  const tile = document.createElement("canvas");
  tile.width = 8;
  tile.height = 8;
  const pen = tile.getContext("2d");
  pen.strokeStyle = themeColour("--hatch");
  pen.lineWidth = 1.5;
  pen.beginPath();
  for (const shift of [-8, 0, 8]) {
    pen.moveTo(shift - 1, 9);
    pen.lineTo(shift + 9, -1);
  }
  pen.stroke();
  return context.createPattern(tile, "repeat");
}
