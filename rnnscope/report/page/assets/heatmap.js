// A heatmap of one matrix: units down, timesteps across. It draws; what the pointer and the keys do
// stands in heatmap_input.js.

const MARGIN = { left: 44, right: 8, top: 9, bottom: 34 };

class Heatmap {
  constructor(root, colours) {
    this.root = root;
    this.colours = colours;
    [this.cellCanvas, this.markCanvas] = ["cells", "marks"].map((name) => {
      const canvas = document.createElement("canvas");
      canvas.className = name;
      canvas.setAttribute("aria-hidden", "true");
      root.append(canvas);
      return canvas;
    });
  }

  get plot() {
    const width = this.root.clientWidth - MARGIN.left - MARGIN.right;
    const height = this.root.clientHeight - MARGIN.top - MARGIN.bottom;
    return { left: MARGIN.left, top: MARGIN.top, width: Math.max(width, 1), height: Math.max(height, 1) };
  }

  // picture: matrix, view (from, to, top, bottom), order (unit of each row), limit; of a weight, gates.
  draw(picture) {
    this.picture = picture;
    const { context } = freshContext(this.cellCanvas);
    const { plot } = this;
    const ratio = this.cellCanvas.width / Math.max(this.cellCanvas.clientWidth, 1);
    const pixels = (length) => Math.max(1, Math.round(length * ratio)); // none while it is hidden
    const raster = rasterise(picture.matrix, picture.view, picture.order,
      pixels(plot.width), pixels(plot.height));
    const image = paintRaster(raster, picture.limit, this.colours);
    context.save();
    context.beginPath();
    context.rect(plot.left, plot.top, plot.width, plot.height);
    context.clip();
    context.imageSmoothingEnabled = false;
    const left = this.x(raster.from);
    context.drawImage(image, left, plot.top, this.x(raster.to) - left, plot.height);
    hatchPadding(context, picture.matrix, (step) => this.x(step), plot);
    context.restore();
    this.drawAxes(context);
  }

  x(step) {
    const { from, to } = this.picture.view;
    return this.plot.left + (step - from) / (to - from) * this.plot.width;
  }

  y(row) {
    const { top, bottom } = this.picture.view;
    return this.plot.top + (row - top) / (bottom - top) * this.plot.height;
  }

  drawAxes(context) {
    const { view, matrix, order, gates } = this.picture;
    const { series } = matrix;
    const { plot } = this;
    context.lineWidth = 1;
    context.fillStyle = themeColour("--ink-soft");
    context.strokeStyle = themeColour("--line");
    context.strokeRect(plot.left - 0.5, plot.top - 0.5, plot.width + 1, plot.height + 1);
    context.textAlign = "center";
    context.textBaseline = "top";
    const bottom = plot.top + plot.height;
    if (gates) this.drawGates(context, gates, bottom);
    else this.drawSteps(context, bottom);
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const row of tickPlaces(view.top, view.bottom, plot.height / 18)) {
      const middle = this.y(row + 0.5);
      context.fillRect(plot.left - 4, middle - 0.5, 4, 1);
      context.fillText(nameOf(series.unit_names, order[row]), plot.left - 7, middle);
    }
  }

  drawSteps(context, bottom) {
    const { view, matrix } = this.picture;
    for (const step of tickPlaces(view.from, view.to, this.plot.width / 56)) {
      const middle = this.x(step + 0.5);
      context.fillRect(middle - 0.5, bottom, 1, 4);
      this.writeBelow(context, nameOf(matrix.series.step_names, step), middle, bottom);
    }
    context.fillText("timestep", this.plot.left + this.plot.width / 2, bottom + 20);
  }

  // Centred, but not beyond the edge of the canvas.
  writeBelow(context, words, middle, bottom) {
    const half = context.measureText(words).width / 2;
    context.fillText(words, Math.min(middle, this.root.clientWidth - half - 1), bottom + 6);
  }

  // The gates of a weight stand side by side, with a line between two.
  drawGates(context, gates, bottom) {
    const { view } = this.picture;
    const each = (view.to - view.from) / gates.length;
    gates.forEach((gate, place) => {
      const left = this.x(view.from + place * each);
      if (place) context.fillRect(left - 0.5, this.plot.top, 1, this.plot.height + 6);
      context.fillText(gate, this.x(view.from + (place + 0.5) * each), bottom + 6);
    });
    context.fillText(gates.length > 1 ? "gate" : "column", this.plot.left + this.plot.width / 2, bottom + 20);
  }

  // places: span [from, to) or null; cursor {step, row}; first {step, row}, where others part.
  mark({ span = null, cursor = null, first = null }) {
    if (!this.picture) return;
    // Chromium prints an empty canvas as white on what lies below: on paper both are one.
    const context = this.colours.printing
      ? this.cellCanvas.getContext("2d") : freshContext(this.markCanvas).context;
    const { plot } = this;
    context.save();
    context.beginPath();
    context.rect(plot.left - 1, plot.top - 5, plot.width + 2, plot.height + 10);
    context.clip();
    if (span) this.markSpan(context, span);
    if (cursor) this.markCursor(context, cursor);
    context.restore();
    if (first && this.shows(first)) this.markFirst(context, first);
  }

  shows({ step, row }) {
    const { from, to, top, bottom } = this.picture.view;
    return step >= from && step < to && row >= top && row < bottom;
  }

  markSpan(context, [from, to]) {
    const { plot } = this;
    const left = this.x(from);
    const width = Math.max(this.x(to) - left, 2);
    this.outline(context, left, plot.top, width, plot.height);
    context.fillStyle = themeColour("--focus");
    for (const top of [plot.top - 5, plot.top + plot.height + 1]) context.fillRect(left, top, width, 4);
  }

  // Lines beside the row and the column, not over them: colours are to be seen as they are.
  markCursor(context, { step, row }) {
    const left = this.x(step);
    const top = this.y(row);
    const width = Math.max(this.x(step + 1) - left, 3);
    const height = Math.max(this.y(row + 1) - top, 3);
    const { plot } = this;
    context.strokeStyle = themeColour("--cross");
    context.lineWidth = 1;
    context.strokeRect(plot.left - 2, top, plot.width + 4, height);
    context.strokeRect(left, plot.top - 2, width, plot.height + 4);
    this.outline(context, left, top, width, height);
  }

  // A ring and a line at the timestep: seen on any colour, and in black and white.
  markFirst(context, { step, row }) {
    const middle = (this.x(step) + this.x(step + 1)) / 2;
    const height = (this.y(row) + this.y(row + 1)) / 2;
    for (const [colour, width] of [["#fff", 4], ["#000", 1.5]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(middle, this.plot.top);
      context.lineTo(middle, height - 7);
      context.moveTo(middle, height + 7);
      context.lineTo(middle, this.plot.top + this.plot.height);
      context.moveTo(middle + 7, height);
      context.arc(middle, height, 7, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  outline(context, left, top, width, height) {
    for (const [colour, thick] of [["#fff", 3], ["#000", 1]]) {
      context.strokeStyle = colour;
      context.lineWidth = thick;
      context.strokeRect(left, top, width, height);
    }
  }

  // The timestep and row under a point of the window; null outside of the plot.
  placeAt(clientX, clientY) {
    if (!this.picture) return null;
    const box = this.root.getBoundingClientRect();
    const { plot } = this;
    const across = (clientX - box.left - plot.left) / plot.width;
    const down = (clientY - box.top - plot.top) / plot.height;
    if (across < 0 || across >= 1 || down < 0 || down >= 1) return null;
    const { from, to, top, bottom } = this.picture.view;
    return { step: Math.floor(from + across * (to - from)), row: Math.floor(top + down * (bottom - top)) };
  }
}
