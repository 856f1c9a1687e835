"""The matrix: which confusion was made over which model, and what was handed over."""

from __future__ import annotations

from dataclasses import dataclass, field

from explaining.network_description import Made


@dataclass(frozen=True)
class Case:
    """A reference that somebody else's code made.

    Attributes
    ----------
    subject : str
        A key of `SUBJECTS`.
    made : mapping of str to str
        What is confused, by id.
    guise : str
        A key of `GUISES`.
    also : mapping of str to tuple of str
        Other words for the value of an id that say the same here.
    """

    subject: str
    made: Made
    guise: str = "everything"
    also: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        made = ", ".join(f"{name} {value}" for name, value in self.made.items())
        return f"{self.subject}; {made}; {self.guise}"

    def allowed(self, name: str) -> tuple[str, ...]:
        """The values of an id that are right."""
        return (self.made[name].removesuffix(" (x)"), *self.also.get(name, ()))


def one(subject: str, name: str, value: str, guise: str = "everything", *also: str) -> Case:
    """A single confusion; other words for its value."""
    return Case(subject, {name: value}, guise, {name: also})


SINGLES = (
    # Gates: which block is taken for which.
    one("torch", "gate-order", "i o f g"),
    one("torch", "gate-order", "i g f o", "outputs"),
    one("torch", "gate-order", "f i g o", "c and m"),
    one("torch", "gate-order", "i f o g", "final"),
    one("torch", "gate-order", "o g i f", "time-major"),
    one("torch", "gate-order", "i o f g (bias only)", "torch"),
    one("torch", "gate-order", "i g f o (kernels only)", "npz"),
    one("tf1", "gate-order", "i f g o", "keras"),
    one("tf1", "gate-order", "i f o g", "outputs"),
    one("keras", "gate-order", "i o f g", "without end"),
    one("keras, classifier", "gate-order", "i g f o", "dense"),
    one("onnx", "gate-order", "i f g o", "c and m"),
    one("onnx", "gate-order", "f o i g", "outputs, time-major"),
    one("torch, stack", "gate-order", "i o f g", "top layer"),
    one("torch, both directions", "gate-order", "i o f g", "torch"),
    one("torch, gru", "gate-order", "z r n", "outputs"),
    one("keras, gru", "gate-order", "r z n"),
    one("onnx, gru", "gate-order", "n r z", "npy"),
    # Rows, transposition.
    one("tf1", "kernel-rows", "[m; x]"),
    one("torch, square", "kernel-rows", "[m; x]", "outputs"),
    one("torch", "transposed", "kernel"),
    one("torch", "transposed", "recurrent kernel", "outputs"),
    one("torch", "transposed", "both", "final"),
    one("torch", "transposed", "recurrent kernel, gate by gate", "c and m"),
    one("tf1", "transposed", "both", "outputs"),
    one("keras", "transposed", "recurrent kernel", "npz"),
    one("keras, gru", "transposed", "kernel", "outputs"),
    # Biases.
    one("torch", "bias", "none", "outputs"),
    one("torch", "bias", "doubled"),
    one("torch", "bias", "input bias only", "c and m"),
    one("torch, gru", "bias", "recurrent bias only", "torch"),
    one("onnx", "bias", "input bias only", "without start"),
    one("keras, gru", "bias", "input bias only"),
    # Peepholes, projections, layers.
    one("tf1, peepholes", "peepholes", "ignored", "outputs"),
    one("tf1, peepholes", "peepholes", "order o i f"),
    one("onnx, peepholes", "peepholes", "order i o f", "c and m"),
    one("tf1, clip", "peepholes", "o sees the unclipped c", "outputs"),
    one("tf1, peepholes", "peepholes", "o sees the previous c", "final"),
    one("torch, projection", "projection", "ignored"),
    one("torch, projection", "projection", "transposed", "outputs"),
    one("torch, stack", "layer-order", "2 1"),
    one("tf1, stack", "layer-order", "2 1", "outputs"),
    one("torch, both directions", "directions", "swapped", "torch"),
    one("tf1, averages", "variables", "moving averages", "outputs"),
    one("tf1, steps", "checkpoint-step", "1200", "outputs"),
    # Options.
    one("tf1", "forget-bias", "0"),
    one("tf1", "forget-bias", "2", "outputs"),
    one("tf1", "forget-bias", "0.7", "final"),
    one("torch", "forget-bias", "1", "c and m"),
    one("keras, stack", "forget-bias", "1", "outputs"),
    one("torch, stack", "forget-bias", "0.35", "everything"),
    one("keras", "activation", "relu", "outputs"),
    one("torch", "activation", "softsign"),
    one("keras", "recurrent-activation", "hard_sigmoid"),
    one("keras, hard sigmoid", "recurrent-activation", "hard_sigmoid_keras3", "outputs"),
    one("keras, hard sigmoid", "recurrent-activation", "sigmoid", "c and m"),
    one("keras, gru", "recurrent-activation", "hard_sigmoid_keras3", "outputs"),
    one("torch", "output-activation", "linear"),
    one("onnx", "output-activation", "relu", "outputs and final"),
    one("torch", "cell-clip", "0.5"),
    one("tf1, clip", "cell-clip", "none", "outputs"),
    one("tf1, everything", "proj-clip", "none"),
    one("tf1, everything", "cell-clip", "0.25", "c and m"),
    one("onnx, clip", "gate-clip", "none", "outputs"),
    one("torch", "gate-clip", "0.6", "c and m"),
    one("keras, gru", "reset-after", "false"),
    one("keras, gru reset before", "reset-after", "true", "outputs"),
    one("onnx, gru", "reset-after", "true", "final"),
    one("torch, gru", "update-gate", "1 - z", "outputs"),
    # Time and data.
    one("torch", "lengths", "ignored"),
    one("torch", "lengths", "ignored", "final"),
    one("torch, both directions", "lengths", "ignored", "torch"),
    one("tf1", "lengths", "one less"),
    one("tf1", "lengths", "one more", "final"),
    one("torch", "lengths", "10, 10, 5"),
    one("keras, masked", "mask", "ignored"),
    one("keras, masked", "mask", "zeroed", "outputs"),
    one("torch", "mask", "held", "outputs"),
    one("torch", "left-padding", "true", "c and m"),
    one("torch, full length", "reversed", "whole", "outputs", "within length"),
    one("torch", "reversed", "within length"),
    one("torch, both directions", "reversed", "not reversed", "torch"),
    one("torch, both directions", "turned-outputs", "not turned", "torch"),
    one("keras, backwards", "turned-outputs", "turned", "outputs"),
    one("torch, full length", "time-major", "input", "c and m"),
    one("torch, full length", "time-major", "input", "outputs, time-major"),
    one("torch, full length", "time-major", "input reshaped", "outputs"),
    one("torch, full length", "shift", "1 late", "c and m"),
    one("keras", "shift", "1 early", "outputs"),
    one("torch, full length", "shift", "1 late (x)"),
    one("torch, full length", "shift", "1 early (x)", "outputs"),
    one("torch", "last-step", "last of the array"),
    one("tf1", "last-step", "last of the array", "final"),
    one("torch", "input-scale", "factor 0.5", "outputs"),
    one("keras", "input-scale", "factor 2, offset -0.3"),
    one("torch", "input-columns", "2 0 1", "outputs"),
    one("keras, stack", "input-columns", "1 0 3 2", "top layer"),
    one("keras, embedding", "embedding", "ids + 1", "outputs"),
    one("keras, embedding", "embedding", "ids - 1"),
    one("keras, embedding", "embedding", "ids clipped", "c and m"),
    one("torch", "dtype", "float16 weights"),
    one("keras", "dtype", "bfloat16 weights", "outputs"),
    one("torch", "dtype", "float16 states", "c and m"),
    one("tf1", "dtype", "bfloat16 states", "c and m"),
    # State.
    one("torch", "initial-state", "ones"),
    one("keras", "initial-state", "0.5", "outputs"),
    one("torch, gru", "initial-state", "ones", "outputs"),
    one("torch", "initial-state", "solved", "c and m"),
    one("torch", "state-carry", "never", "outputs"),
    one("torch", "state-carry", "c never", "c and m"),
    one("tf1", "state-carry", "m never"),
    one("torch, gru", "state-carry", "never", "outputs", "m never"),
    one("torch, full length", "state-carry", "reset every 5 steps", "outputs"),
    one("keras", "state-carry", "reset every 3 steps", "c and m"),
    one("torch", "state-carry", "c and m swapped"),
    one("torch", "state-carry", "kept from the sequence before", "outputs"),
    one("keras, classifier", "state-carry", "never", "dense"),
    one("torch", "state-order", "c and m swapped", "c and m"),
    one("keras", "state-order", "c and m swapped", "final"),
)  # fmt: skip
"""One confusion each."""


def many(subject: str, guise: str, /, **made: str) -> Case:
    """Several confusions; ids with _ for -."""
    return Case(subject, {name.replace("_", "-"): value for name, value in made.items()}, guise)


PAIRS = (
    # Weights and options: what goes wrong together in a port.
    many("torch", "c and m", gate_order="i o f g", bias="input bias only"),
    many("torch", "outputs", gate_order="i g f o", forget_bias="1"),
    many("torch", "c and m", gate_order="i o f g", transposed="recurrent kernel"),
    many("torch", "torch", gate_order="f i g o", recurrent_activation="hard_sigmoid"),
    many("torch", "final", gate_order="i o f g", state_order="c and m swapped"),
    many("torch", "time-major", gate_order="i o f g", activation="softsign"),
    many("torch", "c and m", bias="none", forget_bias="1"),
    many("torch", "c and m", bias="doubled", cell_clip="0.5"),
    many("torch", "outputs", transposed="kernel", bias="none"),
    many("torch", "npz", transposed="both", forget_bias="1"),
    many("torch, square", "outputs", kernel_rows="[m; x]", gate_order="i o f g"),
    many("torch, square", "c and m", kernel_rows="[m; x]", bias="recurrent bias only"),
    many("tf1", "outputs", gate_order="i f g o", forget_bias="0"),
    many("tf1", "c and m", gate_order="i f g o", kernel_rows="[m; x]"),
    many("tf1", "keras", gate_order="i o f g", recurrent_activation="hard_sigmoid"),
    many("tf1", "c and m", forget_bias="0", kernel_rows="[m; x]"),
    many("tf1", "outputs", forget_bias="0.7", recurrent_activation="hard_sigmoid"),
    many("tf1", "c and m", forget_bias="2", cell_clip="0.5"),
    many("tf1, peepholes", "c and m", peepholes="ignored", forget_bias="0"),
    many("tf1, peepholes", "outputs", peepholes="order i o f", gate_order="i f g o"),
    many("tf1, clip", "c and m", peepholes="o sees the previous c", cell_clip="none"),
    many("tf1, everything", "outputs", peepholes="ignored", proj_clip="none"),
    many("tf1, everything", "c and m", cell_clip="none", proj_clip="none"),
    many("torch, projection", "c and m", projection="transposed", gate_order="i o f g"),
    many("torch, projection", "c and m", projection="ignored", forget_bias="1"),
    many("onnx", "outputs", gate_order="i f g o", bias="input bias only"),
    many("onnx, peepholes", "c and m", gate_order="i f g o", peepholes="order i o f"),
    many("onnx, clip", "c and m", gate_clip="none", gate_order="i f g o"),
    many("torch, stack", "c and m", layer_order="2 1", gate_order="i o f g"),
    many("torch, stack", "outputs", layer_order="2 1", forget_bias="1"),
    many("tf1, averages", "c and m", variables="moving averages", forget_bias="0"),
    many("tf1, steps", "c and m", checkpoint_step="1400", forget_bias="0"),
    many("torch, both directions", "torch", directions="swapped", gate_order="i o f g"),
    many("keras", "outputs", gate_order="i o f g", recurrent_activation="hard_sigmoid"),
    many("keras, hard sigmoid", "c and m", recurrent_activation="hard_sigmoid_keras3",
         forget_bias="1"),
    many("keras", "everything", activation="relu", recurrent_activation="hard_sigmoid_keras3"),
    many("keras, stack", "top layer", gate_order="i g f o", output_activation="linear"),
    many("keras, classifier", "dense", gate_order="i g f o", forget_bias="1"),
    many("keras, gru", "outputs", gate_order="r z n", reset_after="false"),
    many("keras, gru", "everything", update_gate="1 - z", recurrent_activation="hard_sigmoid"),
    many("keras, gru reset before", "outputs", reset_after="true", gate_order="r z n"),
    many("torch, gru", "torch", update_gate="1 - z", bias="input bias only"),
    many("onnx, gru", "c and m", reset_after="true", gate_order="r z n"),
    # With time and data.
    many("torch", "everything", gate_order="i o f g", lengths="ignored"),
    many("torch", "outputs", forget_bias="1", lengths="one more"),
    many("torch", "c and m", state_order="c and m swapped", left_padding="true"),
    many("torch", "outputs and final", last_step="last of the array", gate_order="i o f g"),
    many("torch", "outputs", reversed="within length", gate_order="i o f g"),
    many("torch, full length", "c and m", time_major="input", bias="doubled"),
    many("torch, full length", "outputs", shift="1 late", forget_bias="1"),
    many("torch, both directions", "outputs", lengths="ignored", bias="input bias only"),
    many("torch, both directions", "outputs", turned_outputs="not turned", gate_order="i g f o"),
    many("torch, both directions", "outputs", reversed="not reversed", forget_bias="1"),
    many("keras, backwards", "outputs", turned_outputs="turned", gate_order="i o f g"),
    many("keras, masked", "c and m", mask="ignored", recurrent_activation="hard_sigmoid"),
    many("keras, masked", "outputs", mask="zeroed", gate_order="i g f o"),
    many("tf1", "outputs", lengths="one less", forget_bias="0"),
    many("torch", "outputs", input_scale="factor 0.5", gate_order="i o f g"),
    many("keras", "c and m", input_columns="1 0 2", forget_bias="1"),
    many("keras, embedding", "outputs", embedding="ids + 1", gate_order="i o f g"),
    many("keras, embedding", "c and m", embedding="ids - 1", state_carry="m never"),
    # With the state.
    many("torch", "outputs", initial_state="ones", gate_order="i o f g"),
    many("keras", "c and m", initial_state="0.5", forget_bias="1"),
    many("torch", "c and m", state_carry="c never", gate_order="i o f g"),
    many("torch", "c and m", state_carry="kept from the sequence before", bias="none"),
    many("torch", "outputs", state_carry="c and m swapped", forget_bias="1"),
    many("torch, full length", "c and m", state_carry="reset every 5 steps",
         recurrent_activation="hard_sigmoid"),
    many("torch, gru", "outputs", initial_state="ones", gate_order="z r n"),
    many("torch", "c and m", dtype="float16 weights", forget_bias="1"),
    many("keras", "keras", state_order="c and m swapped", activation="relu"),
)  # fmt: skip
"""Two confusions each."""

TRIPLES = (
    many("torch", "c and m", gate_order="i o f g", bias="input bias only", forget_bias="1"),
    many("torch", "c and m", gate_order="i g f o", lengths="ignored",
         state_order="c and m swapped"),
    many("torch", "outputs", gate_order="i o f g", transposed="kernel",
         recurrent_activation="hard_sigmoid"),
    many("torch", "torch", bias="none", forget_bias="1", recurrent_activation="hard_sigmoid"),
    many("torch", "c and m", gate_order="i o f g", initial_state="ones", lengths="one more"),
    many("tf1", "outputs", gate_order="i f g o", forget_bias="0", kernel_rows="[m; x]"),
    many("tf1", "c and m", gate_order="i f g o", forget_bias="0",
         recurrent_activation="hard_sigmoid"),
    many("tf1", "c and m", forget_bias="0", activation="relu", lengths="ignored"),
    many("tf1, peepholes", "c and m", peepholes="ignored", gate_order="i f g o",
         forget_bias="0"),
    many("tf1, everything", "c and m", cell_clip="none", proj_clip="none", forget_bias="0"),
    many("tf1, stack", "c and m", layer_order="2 1", gate_order="i f g o", forget_bias="0"),
    many("keras", "outputs", gate_order="i o f g", recurrent_activation="hard_sigmoid",
         activation="relu"),
    many("keras", "c and m", gate_order="i g f o", forget_bias="1", state_carry="m never"),
    many("keras, gru", "everything", gate_order="r z n", reset_after="false",
         recurrent_activation="hard_sigmoid"),
    many("keras, gru", "outputs", gate_order="r z n", reset_after="false", update_gate="1 - z"),
    many("torch, gru", "torch", gate_order="z r n", bias="input bias only", update_gate="1 - z"),
    many("onnx", "c and m", gate_order="i f g o", bias="input bias only", forget_bias="1"),
    many("onnx, peepholes", "c and m", gate_order="i f g o", peepholes="order i o f",
         bias="doubled"),
    many("torch, both directions", "c and m", directions="swapped", gate_order="i o f g",
         bias="input bias only"),
    many("torch, projection", "c and m", projection="transposed", gate_order="i o f g",
         forget_bias="1"),
    many("torch", "c and m", reversed="within length", gate_order="i o f g",
         state_order="c and m swapped"),
    many("keras, masked", "c and m", mask="ignored", gate_order="i g f o",
         recurrent_activation="hard_sigmoid"),
    many("keras, embedding", "outputs", embedding="ids + 1", gate_order="i o f g",
         forget_bias="1"),
)  # fmt: skip
"""Three confusions each."""

CASES = (*SINGLES, *PAIRS, *TRIPLES)
