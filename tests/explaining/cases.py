"""The matrix: which confusion was made over which model, and what was handed over."""

from __future__ import annotations

from dataclasses import dataclass, field

from explaining.confused_loop import Made


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
    one("keras", "state-carry", "reset every 3 steps", "final"),
    one("torch", "state-carry", "c and m swapped"),
    one("torch", "state-carry", "kept from the sequence before", "outputs"),
    one("keras, one label", "state-carry", "never", "dense of last"),
    one("torch", "state-order", "c and m swapped", "c and m"),
    one("keras", "state-order", "c and m swapped", "final"),
)  # fmt: skip
"""One confusion each."""

CASES = SINGLES
