"""An engine in numpy alone that reads cases and writes answers: right, or wrong in one known way.

Written from CONFORMING.md, by gate names, with nothing of rnnscope's. Its argument is a fault:

- flaggems-5014: a kernel of one block of 128 threads a sequence; units beyond are never written.
- pytorch-94754: bidirectional layers run both ways with what belongs to the first direction.
- pytorch-95118: packed sequences of more than one are run as one, with the state of the one before.
- onnx-7664: two of the three outputs: Y_c is not there.
- onnx-7664-axis: Y_c is there, with its first two axes swapped.
"""

import json
import re
import sys
import time

import numpy as np

FAULT = sys.argv[1] if len(sys.argv) > 1 else ""

FUNCTIONS = {
    "tanh": np.tanh, "sigmoid": lambda z: 1 / (1 + np.exp(-z)), "relu": lambda z: np.maximum(z, 0),
    "softsign": lambda z: z / (1 + abs(z)), "softplus": lambda z: np.log1p(np.exp(z)),
    "linear": lambda z: z, "elu": lambda z: np.where(z > 0, z, np.exp(z) - 1),
    "hard_sigmoid": lambda z: np.clip(0.2 * z + 0.5, 0, 1),
    "hard_sigmoid_keras3": lambda z: np.clip(z / 6 + 0.5, 0, 1),
    "hard_sigmoid(0.25,0.5)": lambda z: np.clip(0.25 * z + 0.5, 0, 1),
    "leaky_relu(0.125)": lambda z: np.where(z > 0, z, 0.125 * z),
    "elu(0.5)": lambda z: np.where(z > 0, z, 0.5 * (np.exp(z) - 1)),
    "scaled_tanh(0.5,1.25)": lambda z: 0.5 * np.tanh(1.25 * z),
    "affine(0.75,0.125)": lambda z: 0.75 * z + 0.125,
    "thresholded_relu(0.25)": lambda z: np.where(z > 0.25, z, 0),
}  # fmt: skip


def bounded(z, most):
    return z if most is None else np.clip(z, -most, most)


def arrays(value):
    if isinstance(value, dict):
        return {name: arrays(one) for name, one in value.items()}
    return None if value is None else np.array(value)


def step(case, w, x, m, c):
    """The next m and c."""
    o = case["options"]

    def act(name, z):
        return FUNCTIONS[o[name]](bounded(z, o["clip"]))

    bias = w["bias"] or dict.fromkeys(w["kernel"], 0.0)
    inner = {gate: x @ w["kernel"][gate] + bias[gate] for gate in w["kernel"]}
    outer = {gate: m @ w["recurrent_kernel"][gate] for gate in w["kernel"]}
    if case["cell"] == "rnn":
        return act("activation", inner["n"] + outer["n"]), c
    if case["cell"] == "gru":
        second = w["recurrent_bias"] or dict.fromkeys("rzn", 0.0)
        r, z = (
            act("recurrent_activation", inner[gate] + outer[gate] + second[gate]) for gate in "rz"
        )
        if o["reset_after"]:
            n = act("activation", inner["n"] + r * (outer["n"] + second["n"]))
        else:
            n = act("activation", inner["n"] + (r * m) @ w["recurrent_kernel"]["n"] + second["n"])
        return z * m + (1 - z) * n, c
    p = w["peepholes"] or dict.fromkeys("ifo", 0.0)
    z = {gate: inner[gate] + outer[gate] for gate in "ifgo"}
    i = act("recurrent_activation", z["i"] + p["i"] * c)
    f = act("recurrent_activation", z["f"] + o["forget_bias"] + p["f"] * c)
    f = 1 - i if o["coupled"] else f
    c = bounded(f * c + i * act("activation", z["g"]), o["cell_clip"])
    m = act("recurrent_activation", z["o"] + p["o"] * c) * act("output_activation", c)
    if w["projection"] is not None:
        m = bounded(m @ w["projection"], o["proj_clip"])
    return m, c


def run(case, direction, x, lengths):
    """One direction over x (sequence, timestep, feature)."""
    w = arrays(direction["weights"])
    batch, steps = x.shape[:2]
    width = case["units"] if w.get("projection") is None else w["projection"].shape[1]
    start = arrays(direction["initial"]) or {}
    m, c = (
        start.get("m", np.zeros((batch, width))),
        start.get("c", np.zeros((batch, case["units"]))),
    )
    outputs, every = np.zeros((batch, steps, width)), np.zeros((batch, steps, case["units"]))
    for t in range(steps):
        at = np.where(t < lengths, lengths - 1 - t, t) if direction["backward"] else t + 0 * lengths
        rows, valid = np.arange(batch), (t < lengths)[:, None]
        new_m, new_c = step(case, w, x[rows, at], m, c)
        if FAULT == "flaggems-5014":
            new_m[:, 128:] = new_c[:, 128:] = 0
        m, c = np.where(valid, new_m, m), np.where(valid, new_c, c)
        outputs[rows, at], every[rows, at] = np.where(valid, new_m, 0), c
    return {"outputs": outputs, "final_m": m} | (
        {"c": every, "final_c": c} if case["cell"] == "lstm" else {}
    )


def packed(case, direction, x, lengths):
    """A packed batch, its valid steps one after another, as one sequence."""
    steps, rows = np.nonzero((np.arange(x.shape[1]) < lengths[:, None]).T)
    one = run(case, {**direction, "initial": None}, x[rows, steps][None], np.array([len(rows)]))
    right = run(case, direction, x, lengths)
    right["outputs"] = np.zeros_like(right["outputs"])
    right["outputs"][rows, steps] = one["outputs"][0]
    return right


def answer(case):
    x = np.array(case["x"])
    if case["layout"] == "time first":
        x = x.swapaxes(0, 1)
    directions = case["directions"]
    if FAULT == "pytorch-94754" and len(directions) == 2:
        directions = [directions[0], {**directions[0], "backward": True}]
    given = case["lengths"]
    lengths = np.array(given if given is not None else [x.shape[1]] * len(x))
    one = packed if FAULT == "pytorch-95118" and given is not None and len(x) > 1 else run
    found = [one(case, direction, x, lengths) for direction in directions]
    for each in found:
        if case["layout"] == "time first":
            each.update({n: each[n].swapaxes(0, 1) for n in ("outputs", "c") if n in each})
        if FAULT == "onnx-7664":
            each.pop("final_c", None)
            each.pop("c", None)
        if FAULT == "onnx-7664-axis" and "final_c" in each:
            each["final_c"] = each["final_c"].T
    return {
        "case": case["case"],
        "directions": [{n: array.tolist() for n, array in each.items()} for each in found],
    }


def main():
    for line in sys.stdin:
        case = json.loads(line)
        made = json.dumps(answer(case))
        if FAULT == "once":
            print(made, flush=True)
            return
        if FAULT == "talks":
            print("loading the model ...")
        if FAULT == "dies" and "steps-1" in case["case"]:
            sys.exit("the fifth step failed")
        if FAULT == "hangs" and "batch-1-units-1" in case["case"]:
            time.sleep(60)
        if FAULT == "nan" and case["cell"] == "lstm":
            head, mark, tail = made.partition('"final_c": [[')
            made = head + mark + re.sub(r"^[^],]+", "NaN", tail)
        if FAULT == "words":
            made = made.replace('"final_m": [[', '"final_m": [["x", ', 1)
        if FAULT == "ragged":
            made = made.replace('"final_m": [[', '"final_m": [[0.0, ', 1)
        if FAULT == "other":
            made = made.replace(case["case"], "lstm/other/one")
        print(made, flush=True)


if __name__ == "__main__":
    main()
