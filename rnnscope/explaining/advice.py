"""What to change: a sentence for the other side, and the run that gives its numbers here."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from rnnscope.explaining.confusions.weights import GATES, stored_order
from rnnscope.explaining.deviations import Deviation
from rnnscope.explaining.setup import DrivenLayer
from rnnscope.explaining.subject import Subject
from rnnscope.options.held_array import HeldArray
from rnnscope.record.recipe import Recipe

MOST_LENGTHS = 64
"""Lengths that a command is printed with."""

GATE_WORDS = {
    "i": "input gate",
    "f": "forget gate",
    "g": "candidate",
    "o": "output gate",
    "r": "reset gate",
    "z": "update gate",
    "n": "candidate",
}

SENTENCES = {
    "kernel-rows": "The rows of the kernel are the other way round: the first {inputs} are for x, "
    "the last {outputs} for m.",
    "directions": "The weights of the two directions have changed places: exchange them.",
    "layer-order": "The layers are taken in the order {value}: take them in the order of the file.",
    "peepholes": "The peepholes are read as '{value}': those of i and f see the previous c, that "
    "of o the new one after its clip.",
    "reset-after": "reset_after is {value} there, and the file was made with the other: {reset}.",
    "update-gate": "The update gate keeps the old m here: m = z * m_prev + (1 - z) * n; it is used "
    "as 1 - z there.",
    "activation": "The activation is {value} there, and {activation} in the file: use that.",
    "output-activation": "The activation of c on its way to m is {value} there, and "
    "{output_activation} in the file: use that.",
    "cell-clip": "c is clipped to {value} there, and to {cell_clip} in the file.",
    "proj-clip": "The projected m is clipped to {value} there, and to {proj_clip} in the file.",
    "gate-clip": "What enters the activations is clipped to {value} there, and to {gate_clip} in "
    "the file.",
    "left-padding": "The sequences are padded at the beginning there: put the valid steps first, "
    "or pass over the padding.",
    "last-step": "The last step of the array is taken there: take the last valid step of each "
    "sequence (of a backward direction: its first timestep).",
    "checkpoint-step": "The weights are those of step {value}: load the other checkpoint.",
    "variables": "The {value} are loaded there: load the others.",
    "input-scale": "The input is scaled there (x times {value}): give both sides the same.",
    "input-columns": "The features of the input are in another order there: column k is our column "
    "{value}.",
    "embedding": "The rows of the embedding are looked up by other ids there: {value}.",
    "state-order": "Two arrays have changed places ({value}): c is the cell state, m (h) the "
    "output state.",
}
"""By id; those that need more than their value are made by functions."""


def advice(deviations: Sequence[Deviation], subject: Subject) -> str:
    """What the other side does and has to change, a sentence a deviation."""
    if not deviations:
        return "Nothing is to be changed: the reference is what rnnscope computes."
    return " ".join(_sentence(one, subject) for one in deviations)


def _sentence(deviation: Deviation, subject: Subject) -> str:
    first = next(iter(subject.setup.layers.values()))
    if deviation.id == "gate-order":
        return _gate_order(deviation.value, _of_gates(subject))
    if deviation.id in _WRITTEN:
        written: str = _WRITTEN[deviation.id](deviation.value, first, subject)
        return written
    options = {name: _shown(option.value) for name, option in first.cell.options.items()}
    weights = first.cell.weights
    reset = "r multiplies the product of m" if options.get("reset_after") == "True" else (
        "r multiplies m before the product"
    )  # fmt: skip
    words = {
        "activation": "another", "output_activation": "another", "cell_clip": "none",
        "proj_clip": "none", "gate_clip": "none", **options,
    }  # fmt: skip
    return SENTENCES[deviation.id].format(
        value=deviation.value,
        inputs=weights.kernel.shape[0],
        outputs=weights.recurrent_kernel.shape[0],
        reset=reset,
        **{name: text for name, text in words.items() if name not in ("value", "reset_after")},
    )


def _of_gates(subject: Subject) -> DrivenLayer:
    return next(one for one in subject.setup.layers.values() if one.cell.kind in GATES)


def _shown(value: object) -> str:
    return "none" if value is None else f"{value}"


def _gate_order(value: str, driven: DrivenLayer) -> str:
    order, _, part = value.partition(" (")
    assumed, stored = order.split(), list(stored_order(driven))
    moved = [place for place, gate in enumerate(stored) if assumed[place] != gate]
    blocks = "; ".join(
        f"block {place + 1} is the {GATE_WORDS[stored[place]]} ({stored[place]}) and is used as "
        f"the {GATE_WORDS[assumed[place]]} ({assumed[place]})"
        for place in moved
    )
    names = _names(driven, part.removesuffix(")"))
    if len(moved) == 2:
        change = f"swap blocks {moved[0] + 1} and {moved[1] + 1} of {names}"
    else:
        change = f"read the blocks of {names} as {' '.join(stored)}"
    return f"The gates are stored as {' '.join(stored)} and read as {order}: {blocks}. So {change}."


def _names(driven: DrivenLayer, part: str) -> str:
    """The weights to reorder, as the file calls them."""
    variables = [
        name.rpartition("/")[2].rpartition(".")[2] or name for name in driven.cell.variables
    ]
    if part == "bias only":
        variables = [name for name in variables if "bias" in name.lower()] or ["the bias"]
    elif part:
        variables = [name for name in variables if "bias" not in name.lower()]
        if "input" in part:
            variables = [name for name in variables if "hh" not in name and "recurrent" not in name]
        if "recurrent" in part:
            variables = [name for name in variables if "hh" in name or "recurrent" in name]
    short = list(dict.fromkeys(name for name in variables if name))
    return " and ".join(short[:4]) or "the kernels and the bias"


def _bias(value: str, driven: DrivenLayer, subject: Subject) -> str:
    del driven, subject
    told = {
        "none": "The bias is not added there: add it.",
        "doubled": "The bias is added twice there: add it once.",
        "input bias only": "Only the bias of the input product is added there: add that of the "
        "recurrent product, too.",
        "recurrent bias only": "Only the bias of the recurrent product is added there: add that of "
        "the input product, too.",
    }
    return told[value]


def _forget_bias(value: str, driven: DrivenLayer, subject: Subject) -> str:
    del subject
    own = driven.cell.options.forget_bias.value
    if own == 0:
        return (
            f"{value} is added to the forget gate there, and nothing here, where the bias holds it "
            "already: add nothing."
        )
    return (
        f"{value} is added to the forget gate there, and {own:g} here: add {own:g} to the forget "
        "gate at every step, or to its block of the bias."
    )


def _recurrent_activation(value: str, driven: DrivenLayer, subject: Subject) -> str:
    del subject
    own = driven.cell.options.recurrent_activation.value
    formulas = {
        "hard_sigmoid": "clip(0.2 z + 0.5, 0, 1)",
        "hard_sigmoid_keras3": "clip(z / 6 + 0.5, 0, 1)",
        "sigmoid": "1 / (1 + exp(-z))",
    }

    def told(name: str) -> str:
        return f"{name}, {formulas[name]}" if name in formulas else name

    return (
        f"The activation of the gates is {told(value)} there; the file means {told(own)}: use that."
    )


def _transposed(value: str, driven: DrivenLayer, subject: Subject) -> str:
    del subject
    rows, columns = driven.cell.weights.kernel.shape
    what = "the kernels" if value.startswith("both") else f"the {value.partition(',')[0]}"
    if "gate by gate" in value:
        return f"Each gate's block of {what} is transposed there: transpose it back."
    return (
        f"The bytes of {what} are read with the axes the other way round: the kernel of x is "
        f"{rows} inputs by {columns} gate columns; transpose, do not reshape."
    )


def _projection(value: str, driven: DrivenLayer, subject: Subject) -> str:
    del subject
    shape = driven.cell.weights.projection.shape
    if value == "transposed":
        return "The projection is transposed there: m = (o * act(c)) @ projection."
    return f"m is shown before its projection there: multiply by the projection {shape}."


def _turned_outputs(value: str, driven: DrivenLayer, subject: Subject) -> str:
    del driven, subject
    if value == "not turned":
        return (
            "The outputs of the backward layer stand in the order in which they were computed "
            "there, the last timestep first: reverse them in time."
        )
    return (
        "The outputs of the backward layer stand in the order of the input there; the model "
        "returns them as computed, the last timestep first: reverse them in time."
    )


def _lengths(value: str, driven: DrivenLayer, subject: Subject) -> str:
    del driven
    own = subject.setup.lengths
    ours = "every step counts here" if own is None else (
        "here they are " + ", ".join(map(str, own[:8])) + (", …" if len(own) > 8 else "")
    )  # fmt: skip
    if value == "ignored":
        return f"Lengths are ignored there, every step is computed; {ours}."
    return f"The lengths are {value} there; {ours}."


def _mask(value: str, driven: DrivenLayer, subject: Subject) -> str:
    del subject
    told = {
        "ignored": "the mask is ignored, every step is computed",
        "held": "outputs repeat the last valid one",
        "zeroed": "outputs (or states) are zero",
    }
    rule = driven.layer.padding.value
    ours = {"zeros": "zeros past the length", "hold": "the last valid output repeated",
            "none": "every step computed"}[rule]  # fmt: skip
    return f"At steps that do not count, there {told[value]}; the file means {ours}."


def _reversed(value: str, driven: DrivenLayer, subject: Subject) -> str:
    del driven, subject
    told = {
        "whole": "Time is turned as a whole there: padding comes first.",
        "within length": "Time is turned within each length there.",
        "not reversed": "The backward layer reads forward there: turn its input, and its outputs "
        "back.",
    }
    return told[value]


def _time_major(value: str, driven: DrivenLayer, subject: Subject) -> str:
    del driven
    shape = next(iter(subject.setup.inputs.values())).shape
    how = "its bytes taken for the other order" if value == "input reshaped" else "axis 0 as time"
    return (
        f"The input {shape} is read time-major there, {how}: axes are (sequence, timestep, "
        "feature); say batch_first=True or transpose."
    )


def _shift(value: str, driven: DrivenLayer, subject: Subject) -> str:
    del driven, subject
    steps, _, way = value.partition(" ")
    plural = "step" if steps == "1" else "steps"
    return f"Everything is {steps} {plural} {way} there: compare step t with the right one."


def _dtype(value: str, driven: DrivenLayer, subject: Subject) -> str:
    del subject
    dtype, _, what = value.partition(" ")
    own = driven.layer.cell.dtype
    del own
    return f"The {what} are rounded to {dtype} there."


def _initial_state(value: str, driven: DrivenLayer, subject: Subject) -> str:
    del driven, subject
    told = {"solved": "other values than zeros, for all sequences alike"}
    return f"The state before the first step is {told.get(value, value)} there: give both the same."


def _state_carry(value: str, driven: DrivenLayer, subject: Subject) -> str:
    del driven, subject
    told = {
        "never": "The state is never carried there, each step starts from the initial one: hand c "
        "and m of a step to the next.",
        "c never": "c is never carried there, only m is: hand both to the next step.",
        "m never": "m is never carried there, only c is: hand both to the next step.",
        "c and m swapped": "c and m change places when they are carried there.",
        "kept from the sequence before": "The state is kept from one sequence to the next there: "
        "reset it before each.",
    }
    return told.get(value, f"The state is {value} there: carry it through the whole sequence.")


_WRITTEN: dict[str, Any] = {
    "bias": _bias,
    "forget-bias": _forget_bias,
    "recurrent-activation": _recurrent_activation,
    "transposed": _transposed,
    "projection": _projection,
    "lengths": _lengths,
    "turned-outputs": _turned_outputs,
    "mask": _mask,
    "reversed": _reversed,
    "time-major": _time_major,
    "shift": _shift,
    "dtype": _dtype,
    "initial-state": _initial_state,
    "state-carry": _state_carry,
}


def command(recipe: Recipe, deviations: Sequence[Deviation], subject: Subject) -> tuple[str, bool]:
    """The run of rnnscope for a reading, and whether it gives the reference's numbers."""
    flags: list[str] = []
    reproduces = True
    replaced: set[str] = set()
    for deviation in deviations:
        one = _flags(deviation, subject)
        if one is None:
            reproduces = False
        else:
            flags += one
            replaced |= {flag.partition("=")[0] for flag in one if flag.startswith("--")}
    own = [words for words in recipe_flags(recipe) if words[0] not in replaced]
    if not reproduces:
        own, flags = list(recipe_flags(recipe)), []
    given = [str(recipe.checkpoint), _input(recipe)]
    words = ["rnnscope", "run", *given, *(word for flag in own for word in flag), *flags]
    words = [word for at, word in enumerate(words)
             if word != "--override" or word not in words[:at]]  # fmt: skip
    return shlex.join([*words, "-o", "trace.h5"]), reproduces


def _flags(deviation: Deviation, subject: Subject) -> list[str] | None:
    """Options of a run that make rnnscope compute a deviation; None where none does."""
    value = deviation.value
    simple = {
        "forget-bias": "--forget-bias", "recurrent-activation": "--recurrent-activation",
        "cell-clip": "--cell-clip", "proj-clip": "--proj-clip",
    }  # fmt: skip
    if deviation.id in simple:
        return [simple[deviation.id], value, "--override"]
    if deviation.id == "activation" and "(" not in value:
        return ["--activation", value, "--override"]
    if deviation.id == "lengths":
        return _length_flags(value, subject)
    if deviation.id == "mask":
        rules = {"held": "hold", "zeroed": "zeros", "ignored": "none"}
        return ["--padding", rules[value], "--override"]
    if deviation.id == "time-major" and value == "input":
        return None
    if deviation.id == "checkpoint-step":
        return None
    return None


def _length_flags(value: str, subject: Subject) -> list[str] | None:
    own = subject.setup.lengths
    if value == "ignored":
        steps = [subject.setup.timesteps] * subject.sequences
        return ["--lengths", ",".join(map(str, steps))] if len(steps) <= MOST_LENGTHS else None
    if value in ("one less", "one more") and own is not None:
        by = 1 if value == "one more" else -1
        steps = [min(max(int(length) + by, 0), subject.setup.timesteps) for length in own]
        return ["--lengths", ",".join(map(str, steps))]
    if "…" in value:
        return None
    return ["--lengths", value.replace(" ", "")]


def recipe_flags(recipe: Recipe) -> Iterator[list[str]]:
    """A recipe's options as flags of the command line, a list for each."""
    for option, value in recipe.given():
        flag = option.flag_name.partition("/")[0]
        if option.kind.is_switch:
            negative = option.flag_name.partition("/")[2]
            yield [flag if value else negative or flag]
        elif isinstance(value, HeldArray):
            yield [flag, f"{option.name}.npy"]
        elif isinstance(value, tuple) and value and isinstance(value[0], tuple):
            for pattern, one in value:
                yield [flag, _shown(one) if pattern == "*" else f"{pattern}={_shown(one)}"]
        elif option.kind.many:
            for one in value:
                yield [flag, str(one)]
        elif isinstance(value, tuple):
            yield [flag, ",".join(map(str, value))]
        else:
            yield [flag, str(value)]


def _input(recipe: Recipe) -> str:
    return "input.npy" if isinstance(recipe.input, HeldArray) else recipe.input
