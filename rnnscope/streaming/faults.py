"""FAULTS: what streamers do wrong, each as a change of one that does it right.

Most change the state between two chunks; some what is fed, some where the state is reset. Sources
are threads in which somebody met the fault; `STREAMING.md` tells of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.wording import plural

State = Mapping[str, Array]
States = Mapping[str, State]
"""By layer and state, (sequence, width)."""


@dataclass(frozen=True, eq=False)
class Handover:
    """The state between two chunks, and what a streamer may take in its place.

    Attributes
    ----------
    after : States
        After the chunk: what is right.
    earlier : States
        One step before that.
    first : States
        Before the first step of all.
    first_chunk : States
        After the first chunk.
    """

    after: States
    earlier: States
    first: States
    first_chunk: States


Carry = Callable[[Handover], States]

ZEROS = -1
"""In the steps that are fed: a step of zeros that the input does not hold."""


@dataclass(frozen=True, eq=False)
class Feed:
    """The steps that a chunk feeds, and which of their outputs are returned."""

    steps: Array
    kept: slice = field(default_factory=lambda: slice(None))


FeedChunk = Callable[[int, int, int, int], Feed]
"""``feed(start, stop, chunk, timesteps)``."""


def right_state(given: Handover) -> States:
    """The state after the chunk, as it is."""
    return given.after


def right_steps(start: int, stop: int, chunk: int, timesteps: int) -> Feed:  # noqa: ARG001
    """The steps of the chunk, each once."""
    return Feed(np.arange(start, stop))


@dataclass(frozen=True, eq=False)
class Fault:
    """A way to stream that is wrong.

    Attributes
    ----------
    id : str
    words : str
        What the streamer does; ``{every}`` is where in time.
    advice : str
        What to change there.
    carry, feed : callable
        What differs of a right one.
    resets : callable or None
        Makes other resets of the right ones, bool (sequence, timestep).
    kept : bool
        A sequence starts from the final state of the one before it.
    backward_carried : bool
        Layers that read from the end go on from where they ended in the chunk before.
    lag : int
        Outputs come so many steps late.
    any_length : bool
        Where outputs part does not tell where a chunk ends: every length may be it.
    """

    id: str
    words: str
    advice: str
    carry: Carry = right_state
    feed: FeedChunk = right_steps
    resets: Callable[[Array], Array] | None = None
    kept: bool = False
    backward_carried: bool = False
    lag: int = 0
    any_length: bool = False

    @property
    def periodic(self) -> bool:
        """Whether it happens between chunks, so that the length of these matters."""
        return not (self.resets or self.kept or self.lag)


@dataclass(frozen=True)
class Facts:
    """What decides which faults a network can have.

    Attributes
    ----------
    layers : tuple of str
        Recurrent ones, in order.
    widths : mapping of str to mapping of str to int
        Of each layer's states.
    backward : tuple of str
        The layers that read from the end.
    sequences, timesteps : int
    has_resets : bool
    """

    layers: tuple[str, ...]
    widths: Mapping[str, Mapping[str, int]]
    backward: tuple[str, ...]
    sequences: int
    timesteps: int
    has_resets: bool


def _each(change: Callable[[str, State, Handover], State]) -> Carry:
    """The same change of every layer's state."""
    return lambda given: {name: change(name, state, given) for name, state in given.after.items()}


def _rows(pick: Callable[[Array], Array]) -> Carry:
    return _each(lambda _, state, __: {key: pick(array) for key, array in state.items()})


def _lost(lost: str) -> Carry:
    """Of layers with a c, one of the two states is that of the start again."""

    def change(name: str, state: State, given: Handover) -> State:
        return {**state, lost: given.first[name][lost]} if "c" in state else state

    return _each(change)


def _swapped(_name: str, state: State, _given: Handover) -> State:
    return {**state, "c": state["m"], "m": state["c"]} if "c" in state else state


CARRY_C_AND_M = "Carry c and h (m) both, each to its own place, from every chunk to the next."


def faults_of(facts: Facts) -> Iterator[Fault]:
    """Every fault that a network and its input can have, the plainest first."""
    both = any("c" in widths for widths in facts.widths.values())
    if facts.backward:
        yield Fault(
            "lookahead-missing",
            "the backward direction sees nothing beyond its chunk{every}; the forward state is "
            "carried",
            "A layer that reads from the end needs the whole sequence, or steps beyond the chunk: "
            "give it a lookahead, or use a model that reads forward.",
            any_length=True,
        )
        yield Fault(
            "backward-state-carried",
            "the backward direction starts from where it ended in the chunk before{every}",
            "The final state of a layer that reads from the end lies at the chunk's beginning: it "
            "is no start for the next chunk.",
            backward_carried=True,
            any_length=True,
        )
    yield Fault(
        "never-carried",
        "the state returns to its initial value{every}",
        "Feed the state that a chunk returns (h_n and c_n, Y_h and Y_c, stateN) as the initial "
        "state of the next one; reset it between streams alone.",
        carry=lambda given: given.first,
        any_length=bool(facts.backward),
    )
    if both:
        yield from _of_two_states(facts)
    yield Fault(
        "one-step-late",
        "the state that is carried is that of one step earlier{every}",
        "Take the state after the last step of the chunk, not the one before it.",
        carry=lambda given: given.earlier,
    )
    yield Fault(
        "first-state-kept",
        "the state after the first chunk is used for all others{every}",
        "Take the state of each chunk anew: it was stored once.",
        carry=lambda given: given.first_chunk,
    )
    yield Fault(
        "state-rounded",
        "the state is rounded to float16 when it is carried{every}",
        "Keep the state in the precision of the model between chunks.",
        carry=_rows(lambda array: array.astype(np.float16).astype(array.dtype)),
    )
    yield from _of_layers(facts)
    yield from _of_batch(facts)
    yield from _of_feeding()
    yield from _of_resets(facts)
    yield from _of_lag(facts)


def _of_two_states(facts: Facts) -> Iterator[Fault]:
    """What an LSTM's two states make possible."""
    yield Fault(
        "only-m-carried", "h is carried and c is lost{every}", CARRY_C_AND_M, carry=_lost("c")
    )
    yield Fault(
        "only-c-carried", "c is carried and h is lost{every}", CARRY_C_AND_M, carry=_lost("m")
    )
    if all(one.get("c", one["m"]) == one["m"] for one in facts.widths.values()):
        yield Fault(
            "c-m-swapped",
            "c and h are swapped when they are carried{every}",
            f"{CARRY_C_AND_M} TensorFlow's tuple is (c, m); Keras, PyTorch and ONNX give h first.",
            carry=_each(_swapped),
        )


def _of_layers(facts: Facts) -> Iterator[Fault]:
    """Stacks of which only some layers are carried, or one for another."""
    forward = [name for name in facts.layers if name not in facts.backward]
    if len(forward) < 2:
        return
    advice = "Carry the state of every layer, each to its own."
    for one in forward:
        yield Fault(f"layer-lost:{one}", f"the state of '{one}' alone is lost{{every}}", advice,
                    carry=_layers_from({one}))  # fmt: skip
        if len(forward) > 2:
            others = {*forward} - {one}
            yield Fault(f"layer-carried:{one}", f"the state of '{one}' alone is carried{{every}}",
                        advice, carry=_layers_from(others))  # fmt: skip
    if len({tuple(sorted(facts.widths[name].items())) for name in forward}) == 1:
        for place, words in ((-1, "last"), (0, "first")):
            yield Fault(
                f"{words}-layer-for-all",
                f"every layer goes on from the state of the {words} one, '{forward[place]}'"
                "{every}",
                advice,
                carry=partial(_every_layer_as, forward[place]),
            )


def _every_layer_as(source: str, given: Handover) -> States:
    return dict.fromkeys(given.after, given.after[source])


def _layers_from(lost: set[str]) -> Carry:
    return lambda given: {
        name: given.first[name] if name in lost else state for name, state in given.after.items()
    }


def _all_as(place: int, array: Array) -> Array:
    return np.broadcast_to(array[place], array.shape)


def _of_batch(facts: Facts) -> Iterator[Fault]:
    """Streams that share one state."""
    if facts.sequences < 2:
        return
    advice = "Keep a state for each stream: one row of the batch, or one object a stream."
    for place, words in ((0, "first"), (-1, "last")):
        yield Fault(
            f"{words}-sequence-for-all",
            f"all sequences go on from the state of the {words} one{{every}}",
            advice,
            carry=_rows(partial(_all_as, place)),
        )
    for shift, words in ((1, "before"), (-1, "after")):
        yield Fault(
            f"sequence-{words}",
            f"each sequence goes on from the state of the one {words} it in the batch{{every}}",
            advice,
            carry=_rows(partial(np.roll, shift=shift, axis=0)),
        )
    yield Fault(
        "kept-between-sequences",
        "the state is kept from one sequence to the next: each starts where the one before ended",
        "Reset the state where a new stream begins.",
        kept=True,
    )


OVERLAPS, PADDED, LAGS = (1, 2, 3, 4, 8), (1, 2, 3, 4, 6, 8, 16), (1, 2, 3, 4, 8)


def _of_feeding() -> Iterator[Fault]:
    """Steps that are fed twice, left out, or made up."""
    for count in OVERLAPS:
        last = "step of each chunk is" if count == 1 else f"{count} steps of each chunk are"
        yield Fault(
            f"fed-again:{count}",
            f"the last {last} fed again with the next one{{every}}: the state takes "
            f"{'it' if count == 1 else 'them'} twice",
            "Carry the state from before the steps that overlap, or let chunks follow one another.",
            feed=partial(_fed_again, count),
        )
    for count in PADDED:
        yield Fault(
            f"padding-stepped:{count}",
            f"{plural(count, 'step')} of zeros behind each chunk step{'s' if count == 1 else ''} "
            "the state{every}",
            "Take the state after the last real step, or give the length of the chunk.",
            feed=partial(_padded, count),
        )
    yield Fault(
        "last-chunk-padded",
        "the last chunk is filled up with zeros, which step the state",
        "Take the final state after the last real step, or give the length of the chunk.",
        feed=_last_padded,
        any_length=True,
    )


def _fed_again(count: int, start: int, stop: int, chunk: int, timesteps: int) -> Feed:  # noqa: ARG001
    again = min(count, start)
    return Feed(np.arange(start - again, stop), slice(again, None))


def _padded(count: int, start: int, stop: int, chunk: int, timesteps: int) -> Feed:  # noqa: ARG001
    steps = np.concatenate([np.arange(start, stop), np.full(count, ZEROS)])
    return Feed(steps, slice(0, stop - start))


def _last_padded(start: int, stop: int, chunk: int, timesteps: int) -> Feed:
    missing = max(0, chunk - (stop - start)) if stop == timesteps else 0
    steps = np.concatenate([np.arange(start, stop), np.full(missing, ZEROS)])
    return Feed(steps, slice(0, stop - start))


def _of_resets(facts: Facts) -> Iterator[Fault]:
    """Episodes that begin at other steps than the input says."""
    if not facts.has_resets:
        return
    advice = "Reset the state of a sequence before the first step of each of its episodes."
    shifted = f"{advice} An episode's first step is one after the step whose 'done' is set."
    yield Fault("resets-ignored", "the resets of the input are ignored: the state of an episode "
                "goes on in the next", advice, resets=np.zeros_like)  # fmt: skip
    yield Fault("resets-late", "resets come one step late", shifted, resets=partial(_next_steps, 1))
    yield Fault("resets-early", "resets come one step early", shifted,
                resets=partial(_next_steps, -1))  # fmt: skip
    if facts.sequences > 1:
        yield Fault("resets-shared", "a reset of one sequence resets all of them", advice,
                    resets=_in_all)  # fmt: skip


def _next_steps(by: int, resets: Array) -> Array:
    moved = np.zeros_like(resets)
    if by > 0:
        moved[:, by:] = resets[:, :-by]
    else:
        moved[:, :by] = resets[:, -by:]
    return moved


def _in_all(resets: Array) -> Array:
    found: Array = np.broadcast_to(resets.any(axis=0), resets.shape).copy()
    return found


def _of_lag(facts: Facts) -> Iterator[Fault]:
    for count in LAGS:
        if count < facts.timesteps:
            yield Fault(
                f"outputs-late:{count}",
                f"every output comes {plural(count, 'step')} late; the state is right",
                "Line outputs and steps up: the first output belongs to the first step.",
                lag=count,
            )
