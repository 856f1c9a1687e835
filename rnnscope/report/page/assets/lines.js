// The arrays of one unit over time, as lines: told apart by colour, by dashes and in the legend.

const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3], [4, 2], [12, 4], [9, 3, 2, 3, 2, 3], [1, 4]];

function lineStyle(number) {
  const colours = themeColour("--lines").split(" ");
  return { colour: colours[number % colours.length], dash: DASHES[number % DASHES.length] };
}

class LineChart {
  constructor(root) {
    this.root = root;
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("aria-hidden", "true");
    root.append(this.canvas);
  }

  // picture: lines [{matrix, row, style}], view {from, to}, cursor (a timestep).
  draw({ lines, view, cursor }) {
    const { context, width, height } = freshContext(this.canvas);
    const plot = {
      left: MARGIN.left,
      top: MARGIN.top + 4,
      width: width - MARGIN.left - MARGIN.right,
      height: height - MARGIN.top - 4 - MARGIN.bottom,
    };
    if (!lines.length || plot.width < 1) return;
    const range = this.range(lines, view);
    const x = (step) => plot.left + (step - view.from) / (view.to - view.from) * plot.width;
    const y = (value) => plot.top + (range.high - value) / (range.high - range.low) * plot.height;
    this.drawFrame(context, plot, range, { x, y, view, series: lines[0].matrix.series });
    context.save();
    context.beginPath();
    context.rect(plot.left, plot.top - 2, plot.width, plot.height + 4);
    context.clip();
    context.globalAlpha = 0.35;
    hatchPadding(context, lines[0].matrix, x, plot);
    context.globalAlpha = 1;
    for (const line of lines) this.drawLine(context, line, view, x, y);
    context.fillStyle = themeColour("--cross");
    context.fillRect((x(cursor) + x(cursor + 1)) / 2 - 0.75, plot.top, 1.5, plot.height);
    context.restore();
  }

  range(lines, view) {
    let low = 0;
    let high = 0;
    for (const { matrix, row } of lines) {
      for (let bin = matrix.binOf(view.from); bin <= matrix.binOf(view.to - 1); bin += 1) {
        const at = row * matrix.bins + bin;
        if (Number.isFinite(matrix.low[at])) low = Math.min(low, matrix.low[at]);
        if (Number.isFinite(matrix.high[at])) high = Math.max(high, matrix.high[at]);
      }
    }
    return low === high ? { low: -1, high: 1 } : { low, high };
  }

  drawFrame(context, plot, range, { x, y, view, series }) {
    context.strokeStyle = themeColour("--line");
    context.fillStyle = themeColour("--ink-soft");
    context.lineWidth = 1;
    context.strokeRect(plot.left - 0.5, plot.top - 0.5, plot.width + 1, plot.height + 1);
    context.beginPath();
    context.moveTo(plot.left, y(0));
    context.lineTo(plot.left + plot.width, y(0));
    context.stroke();
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const value of new Set([range.high, 0, range.low])) {
      const apart = value === 0 || Math.abs(y(value) - y(0)) > 12;
      if (apart) context.fillText(roughText(value), plot.left - 5, y(value));
    }
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const step of tickPlaces(view.from, view.to, plot.width / 56)) {
      const middle = (x(step) + x(step + 1)) / 2;
      const words = nameOf(series.step_names, step);
      const most = plot.left + plot.width + MARGIN.right - context.measureText(words).width / 2 - 1;
      context.fillText(words, Math.min(middle, most), plot.top + plot.height + 5);
    }
    context.fillText("timestep", plot.left + plot.width / 2, plot.top + plot.height + 19);
  }

  drawLine(context, { matrix, row, style }, view, x, y) {
    const first = matrix.binOf(view.from);
    const bins = matrix.binOf(view.to - 1) - first + 1;
    const width = Math.ceil(x(view.to) - x(view.from));
    const narrow = bins > width / 2 || matrix.bins < matrix.steps;
    if (narrow) this.drawColumns(context, { matrix, row, style }, { first, bins, width }, x, y);
    else this.drawStroke(context, { matrix, row, style }, { first, bins }, x, y);
  }

  // Through the middle of each timestep.
  drawStroke(context, { matrix, row, style }, { first, bins }, x, y) {
    context.strokeStyle = style.colour;
    context.setLineDash(style.dash);
    context.lineWidth = 1.75;
    context.beginPath();
    let pen = false;
    for (let bin = first; bin < first + bins; bin += 1) {
      const value = matrix.low[row * matrix.bins + bin];
      const middle = (x(matrix.edge(bin)) + x(matrix.edge(bin + 1))) / 2;
      if (Number.isFinite(value)) context[pen ? "lineTo" : "moveTo"](middle, y(value));
      pen = Number.isFinite(value);
    }
    context.stroke();
    context.setLineDash([]);
  }

  // Bins, and timesteps that are about as narrow as pixels: a bar a pixel from the least to the
  // greatest value, that touches the one before it. Dashes would be lost there, and a stroke of
  // thousands of corners is slow.
  drawColumns(context, { matrix, row, style }, { first, bins, width }, x, y) {
    const left = x(matrix.edge(first));
    const each = (x(matrix.edge(first + bins)) - left) / width;
    context.fillStyle = style.colour;
    let before = null;
    for (let column = 0; column < width; column += 1) {
      const from = first + Math.floor(column * bins / width);
      const to = Math.max(from + 1, first + Math.floor((column + 1) * bins / width));
      const [low, high] = matrix.rangeOf(row, from, to);
      if (Number.isFinite(low) && Number.isFinite(high)) {
        const top = Math.min(y(high), before ? before.bottom : Infinity);
        const bottom = Math.max(y(low), before ? before.top : -Infinity);
        context.fillRect(left + column * each, top - 0.75, each, bottom - top + 1.5);
        before = { top: y(high), bottom: y(low) };
      } else {
        before = null;
      }
    }
  }
}
