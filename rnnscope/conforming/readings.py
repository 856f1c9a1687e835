"""What an engine may have computed instead: each a change of the case whose truth is tried.

Where a wrong answer is the right answer to a changed case, that change is the cause: an engine that
ignores lengths gives what the case without lengths gives, to the last rounding. Nothing is said of
answers that fit no reading.
"""

from __future__ import annotations

from itertools import combinations

from rnnscope.conforming.case import Answer, Case
from rnnscope.conforming.changed_answers import (
    Made,
    clip_not_of_c,
    one_long_sequence,
    padding_reversed_too,
    start_lost_at_length_0,
    units_beyond,
)
from rnnscope.conforming.changed_cases import (
    Change,
    default_activations,
    first_direction_twice,
    first_weights_twice,
    forward_alone,
    half_of_the_bias,
    ignoring,
    no_bias,
    no_initial,
    no_lengths,
    no_peepholes,
    other_reset,
)
from rnnscope.conforming.expected import expected
from rnnscope.conforming.judging import judge
from rnnscope.deferred_dataclass import dataclass


@dataclass(frozen=True)
class Reading:
    """A way to compute a case wrong.

    Attributes
    ----------
    words : str
        What the engine did, in the past tense.
    change : callable or None
        ``change(case) -> Case | None``: the case that it computed; None where it changes nothing
        in such a case.
    answer : callable or None
        ``answer(case) -> Answer | None``, where it is not the right answer to any case.
    """

    words: str
    change: Change | None = None
    answer: Made | None = None

    def gives(self, case: Case) -> Answer | None:
        """What the reading makes of a case, in float64; None where it changes nothing in it."""
        if self.answer is not None:
            return self.answer(case)
        assert self.change is not None
        changed = self.change(case)
        return None if changed is None else expected(changed)


def cause(case: Case, answer: Answer) -> str:
    """Which reading, or pair of readings, gives an answer, in words; empty where none does."""

    def fits(instead: Answer | None) -> bool:
        return instead is not None and judge(case, instead, answer).first is None

    for reading in READINGS:
        if fits(reading.gives(case)):
            return reading.words
    changing = [reading for reading in READINGS if reading.change is not None]
    for one, other in combinations(changing, 2):
        changed = one.change(case) if one.change is not None else None
        if changed is not None and fits(other.gives(changed)):
            return f"{one.words}, and {other.words}"
    return ""


READINGS: tuple[Reading, ...] = (
    Reading("it ignored the lengths", no_lengths),
    Reading("it lost the initial state of sequences of length 0", answer=start_lost_at_length_0),
    Reading("its clip did not reach the c that enters h", answer=clip_not_of_c),
    Reading("it ignored the clip", ignoring("gate_clip", None)),
    Reading("it ignored the clip of c", ignoring("cell_clip", None)),
    Reading("it ignored the clip of the projected m", ignoring("proj_clip", None)),
    Reading("it computed tanh and sigmoid whatever the activations", default_activations),
    Reading("it did not couple the forget gate", ignoring("coupled", False)),
    Reading("it ignored the forget bias", ignoring("forget_bias", 0.0)),
    Reading("it ignored the peepholes", no_peepholes),
    Reading("it ignored the initial states", no_initial),
    Reading("it added one of two biases", half_of_the_bias),
    Reading("it added no bias", no_bias),
    Reading("it ran forward in every direction", forward_alone),
    Reading("it ran both directions with the weights of the first", first_weights_twice),
    Reading(
        "it ran both directions with the weights and initial states of the first",
        first_direction_twice,
    ),
    Reading("it reversed the padding with the sequence", answer=padding_reversed_too),
    Reading("it put the reset gate on the other side of the product", other_reset),
    Reading("it left out the units beyond 128", answer=units_beyond(128)),
    Reading("it ran the packed batch as one sequence", answer=one_long_sequence),
)
"""In the order in which they are tried; the first that fits is the cause."""
