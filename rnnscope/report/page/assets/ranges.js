// What part of an axis is shown, where colours end, and how strong a unit is over a span.

const LEAST_SHOWN = 8;

// A range around a place, smaller or larger by a factor, within what there is.
function zoomed(from, to, place, factor, size) {
  const wanted = clamp(Math.round((to - from) / factor), Math.min(LEAST_SHOWN, size), size);
  const share = (clamp(place, from, to - 1) + 0.5 - from) / (to - from);
  const first = clamp(Math.round(place + 0.5 - share * wanted), 0, size - wanted);
  return [first, first + wanted];
}

// The range moved just so far that the place is in it.
function shifted(from, to, place, size, [first, last]) {
  const by = place < from ? place - from : place >= to ? place - to + 1 : 0;
  return { [first]: clamp(from + by, 0, size), [last]: clamp(to + by, 0, size) };
}

// How far beyond a threshold a unit stays throughout a span: its weakest valid timestep decides.
function spanStrength(matrix, unit, [from, to], side) {
  let weakest = Infinity;
  for (let bin = matrix.binOf(from); bin <= matrix.binOf(to - 1); bin += 1) {
    if (!matrix.binIsValid[bin]) continue;
    const at = unit * matrix.bins + bin;
    weakest = Math.min(weakest, side === "above" ? matrix.low[at] : -matrix.high[at]);
  }
  return Number.isNaN(weakest) ? -Infinity : weakest;
}

// The next number of two digits that is not less; 1 for nothing but zeros.
function niceLimit(greatest) {
  if (!(greatest > 0)) return 1;
  const unit = 10 ** (Math.floor(Math.log10(greatest)) - 1);
  return Number((Math.ceil(greatest / unit - 1e-9) * unit).toPrecision(2));
}
