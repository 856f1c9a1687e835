// A stack of LSTMs and both directions of one, written from vectors.json alone.
// MISTAKE (in the environment) says which slip it makes; none: it is right.

const mistake = process.env.MISTAKE ?? "";
const sigmoid = (z) => 1 / (1 + Math.exp(-z));
const zeros = (count) => new Array(count).fill(0);

function step(layer, x, c, m) {
  const { kernel, recurrent_kernel: recurrent, bias } = layer.weights;
  const z = bias.map((value, u) => {
    let sum = value;
    for (let k = 0; k < x.length; k++) sum += x[k] * kernel[k][u];
    for (let k = 0; k < m.length; k++) sum += m[k] * recurrent[k][u];
    return sum;
  });
  const units = layer.units;
  const block = (at) => z.slice(at * units, (at + 1) * units);
  const [i, f, g, o] = [
    block(0).map(sigmoid),
    block(1).map((value) => sigmoid(value + layer.options.forget_bias + (mistake === "bias" ? 1 : 0))),
    block(2).map(Math.tanh),
    block(3).map(mistake === "hard" ? (v) => Math.min(1, Math.max(0, 0.2 * v + 0.5)) : sigmoid),
  ];
  const next = c.map((value, u) => f[u] * value + i[u] * g[u]);
  return { i, f, g, o, c: next, m: next.map((value, u) => o[u] * Math.tanh(value)) };
}

function run(layer, x, lengths, initial) {
  const names = ["i", "f", "g", "o", "c", "m", "outputs"];
  const expected = Object.fromEntries(names.map((name) => [name, []]));
  const final = { c: [], m: [] };
  x.forEach((sequence, n) => {
    let c = initial.c?.[n] ?? zeros(layer.units);
    let m = initial.m?.[n] ?? zeros(layer.outputs);
    const rows = sequence.map(() => null);
    const valid = [...Array(lengths[n]).keys()];
    if (layer.options.direction === "backward" && mistake !== "forward") valid.reverse();
    for (const t of valid) {
      const made = step(layer, sequence[t], c, m);
      ({ c, m } = made);
      rows[t] = { ...made, outputs: m };
    }
    for (let t = lengths[n]; t < sequence.length; t++) {
      const nothing = zeros(layer.units);
      rows[t] = { i: nothing, f: nothing, g: nothing, o: nothing, c, m, outputs: nothing };
    }
    for (const name of names) expected[name].push(rows.map((row) => row[name]));
    final.c.push(c);
    final.m.push(m);
  });
  return { expected, final };
}

export default function myRnn(given, layers) {
  if (given.layer !== null) {
    return run(layers[given.layer], given.x, given.lengths, given.initial);
  }
  const [forward, backward] = Object.values(layers);
  const both = {
    [forward.name]: run(forward, given.x, given.lengths, {}),
    [backward.name]: run(backward, given.x, given.lengths, {}),
  };
  const [one, other] = Object.values(both).map((made) => made.expected.outputs);
  const outputs = one.map((rows, n) => rows.map((row, t) => [...row, ...other[n][t]]));
  if (mistake === "order") outputs.forEach((rows) => rows.forEach((row) => row.reverse()));
  if (mistake === "shape") both[forward.name].final.c = [[1]];
  return { expected: { outputs }, layers: both };
}
