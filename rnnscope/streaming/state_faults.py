"""What streamers do wrong with the state between two chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.streaming.fault import Carry, Facts, Fault, Handover, State, States


def _each(change: Callable[[str, State, Handover], State]) -> Carry:
    """The same change of every layer's state."""
    return lambda given: {name: change(name, state, given) for name, state in given.after.items()}


def every_state(pick: Callable[[Array], Array]) -> Carry:
    """The same change of every array of the state."""
    return _each(lambda _, state, __: {key: pick(array) for key, array in state.items()})


def _lost(lost: str) -> Carry:
    """Of layers with a c, one of the two states is that of the start again."""

    def change(name: str, state: State, given: Handover) -> State:
        return {**state, lost: given.first[name][lost]} if "c" in state else state

    return _each(change)


def _swapped(_name: str, state: State, _given: Handover) -> State:
    return {**state, "c": state["m"], "m": state["c"]} if "c" in state else state


CARRY_C_AND_M = "Carry c and h (m) both, each to its own place, from every chunk to the next."


def of_two_states(facts: Facts) -> Iterator[Fault]:
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


def of_layers(facts: Facts) -> Iterator[Fault]:
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


def of_batch(facts: Facts) -> Iterator[Fault]:
    """Streams that share one state."""
    if facts.sequences < 2:
        return
    advice = "Keep a state for each stream: one row of the batch, or one object a stream."
    for place, words in ((0, "first"), (-1, "last")):
        yield Fault(
            f"{words}-sequence-for-all",
            f"all sequences go on from the state of the {words} one{{every}}",
            advice,
            carry=every_state(partial(_all_as, place)),
        )
    for shift, words in ((1, "before"), (-1, "after")):
        yield Fault(
            f"sequence-{words}",
            f"each sequence goes on from the state of the one {words} it in the batch{{every}}",
            advice,
            carry=every_state(partial(np.roll, shift=shift, axis=0)),
        )
    yield Fault(
        "kept-between-sequences",
        "the state is kept from one sequence to the next: each starts where the one before ended",
        "Reset the state where a new stream begins.",
        kept=True,
    )
