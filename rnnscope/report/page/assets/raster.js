// A matrix as cells of an image: as many along each axis as there are values, or pixels if those
// are fewer. A cell that covers several values takes the one furthest from zero; what is not finite
// is furthest of all, so that it is always seen.

function rasterise(matrix, view, order, width, height) {
  const first = matrix.binOf(view.from);
  const bins = matrix.binOf(view.to - 1) - first + 1;
  const rows = view.bottom - view.top;
  const columns = Math.min(bins, width);
  const lines = Math.min(rows, height);
  const cells = new Float32Array(columns * lines);
  const columnOf = Int32Array.from({ length: bins }, (_, bin) => Math.floor(bin * columns / bins));
  for (let row = 0; row < rows; row += 1) {
    const unit = order[view.top + row];
    const line = Math.floor(row * lines / rows) * columns;
    for (let bin = 0; bin < bins; bin += 1) {
      const value = matrix.extreme(unit, first + bin);
      const size = Math.abs(value);
      const at = line + columnOf[bin];
      if (!(size <= Math.abs(cells[at]))) cells[at] = size < Infinity ? value : Infinity;
    }
  }
  return { cells, columns, lines, from: matrix.edge(first), to: matrix.edge(first + bins) };
}

// The image as a canvas of its own, one pixel a cell.
function paintRaster(raster, limit, colours) {
  const { map, odd } = colours.packed;
  const middle = (map.length - 1) / 2;
  const scale = limit > 0 ? middle / limit : 0;
  const image = new ImageData(raster.columns, raster.lines);
  const pixels = new Uint32Array(image.data.buffer);
  for (let at = 0; at < pixels.length; at += 1) {
    const value = raster.cells[at];
    const place = Math.round(middle + clamp(value * scale, -middle, middle));
    pixels[at] = value === Infinity ? odd : map[place];
  }
  const canvas = document.createElement("canvas");
  canvas.width = raster.columns;
  canvas.height = raster.lines;
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
