"""Descriptions of models, drawn at random: plain dictionaries, as JSON holds them.

A model is plain (a stock cell in a stock loop) but for the axes that are drawn for it. First every
value of every axis stands alone, so that a fault shows where it comes from; then two to four of
them are put together.
"""

from __future__ import annotations

import random as random_module

from cells import CELLS
from fronts import BEHIND, FRONTS, STARTS
from loops import LOOPS
from wrappers import WRAPPERS

STACKS = ("single", "stack", "stack3", "mixed", "shared", "nested", "outer")
LENGTHS = ("none", "placeholder", "constant", "computed")
FORMS = ("checkpoint", "checkpoint", "checkpoint", "checkpoint", "frozen", "saved_model")

AXES = {
    "cell": tuple(CELLS),
    "wrapper": tuple(WRAPPERS),
    "stack": STACKS,
    "loop": tuple(LOOPS),
    "lengths": LENGTHS,
    "start": STARTS,
    "front": tuple(FRONTS),
    "behind": tuple(BEHIND),
}
NEUTRAL = {
    "stack": "single",
    "start": "implicit",
    "front": "none",
    "behind": "none",
    "wrapper": None,
}
PLAIN_CELLS = ("BasicLSTMCell", "LSTMCell", "GRUCell", "LSTMBlockCell", "BasicLSTMCell", "LSTMCell")
PLAIN_LOOPS = ("dynamic_rnn", "dynamic_rnn", "static_rnn", "bidirectional_dynamic_rnn")
PLAIN_STARTS = ("implicit", "zeros", "placeholder")
# In front of a layer, these change how x is read, not what it is.
READ_THROUGH = ("none", "identity", "embedding", "reverse", "reverse_slice", "reverse_sequence")


def plan(count, seed):
    """What is to be unusual in each model: a list of {axis: value}, single ones mixed in."""
    random = random_module.Random(seed)  # noqa: S311
    alone = [{axis: value} for axis, values in AXES.items() for value in values]
    random.shuffle(alone)
    decks = {axis: [] for axis in AXES}

    def next_of(axis):
        if not decks[axis]:
            decks[axis] = list(AXES[axis])
            random.shuffle(decks[axis])
        return decks[axis].pop()

    together = []
    while len(alone) + len(together) < count:
        axes = random.sample(sorted(AXES), random.choice((2, 2, 3, 3, 4)))
        drawn = {axis: next_of(axis) for axis in sorted(axes)}
        if fits(drawn):
            together.append(drawn)
    return (alone + together)[:count]


def fits(drawn):
    """Whether the values can stand together; what TensorFlow alone refuses is found out later."""
    cell, stack, start = (drawn.get(axis) for axis in ("cell", "stack", "start"))
    wrapper, lengths = drawn.get("wrapper"), drawn.get("lengths")
    loop = LOOPS[drawn.get("loop", "dynamic_rnn")]
    ids = wrapper == "Embedding" or FRONTS[drawn.get("front", "none")].input == "ids"
    fused = cell == "LSTMBlockFusedCell"
    many = stack not in (None, "single")
    return not (
        ("loop" in drawn and (fused or (loop.fused and cell)) and not (fused and loop.fused))
        or ((fused or loop.fused) and (wrapper or many))
        or (many and not loop.stacks)
        or (start and not loop.starts)
        or (lengths not in (None, "none") and loop.lengths == "never")
        or (cell in ("Phased", "Conv1DLSTM") and (many or wrapper or "loop" in drawn))
        or (str(cell).startswith("keras") and (start or wrapper or many))
        or (lengths == "computed" and ids)
        or (ids and (wrapper or cell) and "front" in drawn and wrapper == "Embedding")
        or (start == "placeholder" and many)
        or (stack == "outer" and wrapper)
    )


def draw(unusual, seed):
    """One description with these values; the rest is plain, and drawn.

    Parameters
    ----------
    unusual : dict
        {axis: value}
    seed : str
    """
    random = random_module.Random(seed)  # noqa: S311
    of = {**NEUTRAL, **unusual}
    loop = of.get("loop") or random.choice(PLAIN_LOOPS)
    cell = of.get("cell")
    kind = LOOPS[loop]
    if cell == "LSTMBlockFusedCell" and not kind.fused:
        loop = random.choice(("fused", "fused_backward"))
        kind = LOOPS[loop]
    if kind.fused:
        cell = "LSTMBlockFusedCell"
    if cell in ("Phased", "Conv1DLSTM") and loop != "dynamic_rnn_time_major":
        loop = "dynamic_rnn"
        kind = LOOPS[loop]
    cell = cell or random.choice(PLAIN_CELLS)
    front, stack = of["front"], of["stack"]
    if not kind.stacks:
        stack = "single"
    made_lengths = of.get("lengths") or random.choice(("none", "placeholder"))
    if kind.lengths == "never":
        made_lengths = "none"
    start = of["start"] if kind.starts else "implicit"
    wrapper = None if kind.fused else of["wrapper"]
    wrappers = [_wrapper(wrapper, random)] if wrapper else []
    if len(unusual) > 1 and wrapper and random.random() < 0.25:
        wrappers.append(_wrapper(random.choice(sorted(WRAPPERS)), random))
    outer = stack == "outer" and not wrapper
    outer_wrappers = []
    if outer:
        choice = random.choice(("Residual", "Dropout", "Residual_fn", "own_squash"))
        outer_wrappers = [_wrapper(choice, random)]
    units = random.randint(2, 5)
    features = random.randint(2, 4)
    square = stack in ("shared", "outer", "nested") or any(
        WRAPPERS[one["kind"]].square for one in wrappers
    )
    if square:
        features = units = random.randint(2, 4)
    if cell in ("Conv1DLSTM", "GridLSTM"):
        features = 4
    layers = _layers(stack, cell, units, square, wrappers, random)
    floats = FRONTS[front].input == "float" and "Embedding" not in str(wrappers)
    wide = floats and random.random() < 0.2
    wide = wide and kind.dtype64 and all(CELLS[layer["kind"]].float64 for layer in layers)
    steps = random.choice((4, 6)) if front == "stacked_steps" else random.randint(4, 6)
    details = {"kind": loop, "scope": random.choice((None, None, "net", "lstm_1"))}
    if kind.while_:
        details["v2"] = random.random() < 0.15
        details["parallel_iterations"] = random.choice((None, None, 1, 4))
        details["swap_memory"] = random.random() < 0.2
    if loop.startswith("attention"):
        details["attention"] = {
            "kind": random.choice(("bahdanau", "luong")), "normed": random.random() < 0.3,
            "size": random.choice((None, 3)), "output_attention": random.random() < 0.5,
        }  # fmt: skip
        if details["attention"]["kind"] == "luong":
            for layer in layers:
                layer["units"] = 3
    if loop.endswith("decode"):
        details.update(output_layer=random.random() < 0.4, impute=random.random() < 0.5)
    fed = "layer" if front == "none" else "model"
    if front not in READ_THROUGH and floats and random.random() < 0.2:
        fed = "layer"
    through = fed == "model" and (
        front not in READ_THROUGH or (FRONTS[front].turned and random.random() < 0.4)
    )
    return {
        "unusual": unusual,
        "seed": seed,
        "dtype": "float64" if wide else "float32",
        "sequences": random.randint(2, 3),
        "steps": steps,
        "features": features,
        "time_major_input": loop.endswith("time_major")
        and front == "none"
        and random.random() < 0.5,
        "static_batch": random.random() < 0.25,
        "static_steps": not kind.while_ or random.random() < 0.2,
        "layers": layers,
        "stack": stack,
        "outer": outer_wrappers,
        "loop": details,
        "lengths": made_lengths,
        "full_length": loop.endswith("decode") or loop.startswith("raw") or random.random() < 0.6,
        "start": start,
        "front": front,
        "behind": of["behind"],
        "fed": fed,
        "model_input": through,
        "scope": random.choice(("", "", "", "model", "a/b")),
        "spread": random.choice((0.5, 0.7, 1.0)),
        "form": random.choice(FORMS),
        "strip": random.random() < 0.4,
        "clear_devices": random.random() < 0.4,
        "train": random.random() < 0.05,
    }


def _wrapper(kind, random):
    return {"kind": kind, **WRAPPERS[kind].draw(random)}


def _layers(stack, cell, units, square, wrappers, random):
    count = {"single": 1, "stack": 2, "stack3": 3, "mixed": 2, "shared": random.choice((2, 3)),
             "nested": 3, "outer": 2}[stack]  # fmt: skip
    layers = []
    for at in range(count):
        kind = cell
        if stack == "mixed" and at > 0:
            kind = random.choice(sorted(CELLS))
        width = units if square else random.randint(2, 5)
        options = CELLS[kind].draw(random)
        if square:
            options.pop("num_proj", None)
            options.pop("proj_clip", None)
        # A wrapper stands round every layer, or round one of them.
        mine = wrappers if at == 0 or random.random() < 0.5 else []
        layers.append({"kind": kind, "units": width, "options": options, "wrappers": mine})
    if stack == "shared":
        layers = [layers[0]] * count
    return layers


def refusal_is_as_good(description):
    """Whether nobody could blame a reader for refusing the model by name."""
    layers, loop = description["layers"], LOOPS[description["loop"]["kind"]]
    wrappers = [one for layer in layers for one in layer["wrappers"]] + description["outer"]
    return not (
        all(CELLS[layer["kind"]].plain for layer in layers)
        and all(WRAPPERS[one["kind"]].plain for one in wrappers)
        and loop.plain
        and description["start"] in PLAIN_STARTS
        and description["front"] in READ_THROUGH
        and description["lengths"] in ("none", "placeholder")
    )
