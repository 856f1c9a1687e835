// Holds an implementation in JavaScript to vectors.json. Written by rnnscope vectors.
//
//     node runner.mjs ./my_rnn.mjs [theirs.json]
//
// my_rnn.mjs exports a function that computes one case:
//
//     export default function myRnn(given, layers) {
//       // given: {name, layer, x, lengths, initial: {c, m}}; axes are (sequence, timestep, unit)
//       // layers: by name {cell, inputs, units, gates, options, weights, …}
//       return {expected: {c, m, i, f, g, o, outputs}, final: {c, m}};   // for a layer alone
//       // for all layers together, where given.layer is null:
//       // return {expected: {outputs}, layers: {NAME: {expected, final}, …}};
//     }
//
// What is left out is passed over, and that is said. Past the length of a sequence c and m stay those
// of its last valid step, and outputs are what the layer's padding says: zeros, or the last valid
// ones again. It prints the first value of each case that is wrong, in the order in which a step is
// computed, and exits with 1 if any is. With theirs.json it writes what was computed as well:
// "rnnscope check --vectors THIS_FOLDER theirs.json" then says which reading of the weights gives
// these numbers.

import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const vectors = JSON.parse(readFileSync(join(here, "vectors.json"), "utf8"));
const layers = Object.fromEntries(vectors.layers.map((layer) => [layer.name, layer]));

// Which step of its sequence a timestep is.
function placeOf(options, name, length, timesteps, t) {
  if (options === null || options.direction !== "backward") return t;
  if (name === "outputs" && !options.outputs_in_input_order) return t;
  if (options.reversal === "whole") return timesteps - 1 - t;
  return t < length ? length - 1 - t : t;
}

const isList = (value) => Array.isArray(value) || ArrayBuffer.isView(value);

function shapeOf(array) {
  const shape = [];
  for (let inner = array; isList(inner); inner = inner[0]) shape.push(inner.length);
  return shape;
}

// Every value that is wrong, with its place; the first in the order of computing is told.
function* wrongValues(given, layer, name, order, expected, got, limit, final) {
  const options = layer === null ? null : layer.options;
  const heeds = options !== null && options.padding !== "none";
  const timesteps = given.x[0].length;
  for (let n = 0; n < expected.length; n++) {
    const length = heeds ? given.lengths[n] : timesteps;
    const steps = final ? [expected[n]] : expected[n];
    const theirs = final ? [got[n]] : got[n];
    for (let t = 0; t < steps.length; t++) {
      if (layer !== null && layer.gates.includes(name) && t >= length) continue;
      for (let u = 0; u < steps[t].length; u++) {
        const value = theirs?.[t]?.[u];
        if (typeof value === "number" && Math.abs(value - steps[t][u]) <= limit) continue;
        const place = final ? timesteps : placeOf(options, name, length, timesteps, t);
        yield { place, order, name, final, n, t, u, expected: steps[t][u], got: value, limit };
        break;
      }
    }
  }
}

function earlier(one, other) {
  return one.place - other.place || one.order - other.order || one.n - other.n || one.u - other.u;
}

function checkLayer(given, layer, expected, got, say) {
  const wrong = [];
  let compared = 0;
  let order = 0;
  for (const kind of ["expected", "final"]) {
    for (const [name, array] of Object.entries(expected[kind] ?? {})) {
      const theirs = got?.[kind]?.[name];
      const called = kind === "final" ? `final/${name}` : name;
      order += 1;
      if (theirs === undefined || theirs === null) {
        say(`note ${given.name}: nothing was returned for ${called}${layer ? ` of '${layer.name}'` : ""}`);
        continue;
      }
      compared += 1;
      const shapes = [shapeOf(array).join(" x "), shapeOf(theirs).join(" x ")];
      if (shapes[0] !== shapes[1]) {
        wrong.push({ place: -1, order, name: called, n: 0, u: 0, shapes });
        continue;
      }
      const limit = expected.limits[called];
      wrong.push(
        ...wrongValues(given, layer, name, order, array, theirs, limit, kind === "final"),
      );
    }
  }
  wrong.sort(earlier);
  return { compared, first: wrong[0] };
}

function told(given, where, first) {
  const name = first.final ? `final ${first.name}` : first.name;
  if (first.shapes) {
    return `FAIL ${given.name}: ${name} of '${where}' is ${first.shapes[1]}, expected ${first.shapes[0]}`;
  }
  const step = first.final ? "" : `, timestep ${first.t}`;
  return (
    `FAIL ${given.name}: first wrong in '${where}': ${name}, sequence ${first.n}${step}, unit ` +
    `${first.u}: expected ${first.expected}, got ${first.got} (limit ${first.limit})`
  );
}

function checkCase(given, got, say) {
  let compared = 0;
  const parts = given.layer === null ? Object.keys(given.layers) : [given.layer];
  for (const name of parts) {
    const expected = given.layer === null ? given.layers[name] : given;
    const theirs = given.layer === null ? got?.layers?.[name] : got;
    const found = checkLayer(given, layers[name], expected, theirs, say);
    compared += found.compared;
    if (found.first) {
      say(told(given, name, found.first));
      return 1;
    }
  }
  if (given.layer === null) {
    const whole = { expected: given.expected, limits: given.limits };
    const found = checkLayer(given, null, whole, got, say);
    compared += found.compared;
    if (found.first) {
      say(told(given, "the whole model", found.first));
      return 1;
    }
  }
  say(compared ? `pass ${given.name}: ${compared} arrays` : `skip ${given.name}: nothing was computed`);
  return compared ? 0 : -1;
}

const [mine, target] = process.argv.slice(2);
if (mine === undefined) {
  console.error("usage: node runner.mjs ./my_rnn.mjs [theirs.json]");
  process.exit(2);
}
const { default: myRnn } = await import(pathToFileURL(resolve(mine)).href);
const verdicts = [];
const theirs = [];
for (const given of vectors.cases) {
  const { name, layer, dtype, x, lengths, initial } = given;
  const got = (await myRnn(structuredClone({ name, layer, dtype, x, lengths, initial }), layers)) ?? {};
  verdicts.push(checkCase(given, got, console.log));
  theirs.push({ name, ...got });
}
if (target !== undefined) {
  // JSON has no NaN and no infinity: they are these strings.
  const finite = (_, value) => {
    if (ArrayBuffer.isView(value)) return Array.from(value);
    return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
  };
  writeFileSync(target, `${JSON.stringify({ cases: theirs }, finite)}\n`);
}
const wrong = verdicts.filter((verdict) => verdict === 1).length;
console.log(
  `${wrong} of ${verdicts.length} cases wrong (tolerance ${vectors.tolerance} of the largest value of each array)`,
);
process.exitCode = wrong ? 1 : verdicts.includes(0) ? 0 : 2;
