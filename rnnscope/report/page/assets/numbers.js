// Numbers as text: as many digits as the page holds of a value, and no more.

function numberText(value, series) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (series.held === "int16") return value.toFixed(series.digits);
  return series.held === "float32" ? shortestFloat32(value) : String(value);
}

// The shortest decimal that is read back as the same float32, as numpy prints it.
function shortestFloat32(value) {
  for (let digits = 1; digits < 9; digits += 1) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return String(Number(value.toPrecision(9)));
}

function roughText(value) {
  return String(Number(value.toPrecision(3)));
}

function count(number, noun) {
  return number === 1 ? `1 ${noun}` : `${number} ${noun}s`;
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
