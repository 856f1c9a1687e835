"""Answers that are right for no case at all; None where a case leaves no room for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from rnnscope.conforming.case import Answer, Case
from rnnscope.conforming.changed_cases import forward_alone, with_layers, with_weights
from rnnscope.conforming.expected import expected
from rnnscope.model.cell import Array

Made = Callable[[Case], "Answer | None"]


def start_lost_at_length_0(case: Case) -> Answer | None:
    """Sequences of length 0 end in zeros, not in what they began with."""
    if case.lengths is None or case.initial is None or case.lengths.all():
        return None
    truth = expected(case)
    empty = case.lengths == 0
    return tuple(
        {
            name: np.where(empty.reshape(-1, *(1,) * (array.ndim - 1)), 0, array)
            for name, array in one.items()
        }
        for one in truth
    )


def clip_not_of_c(case: Case) -> Answer | None:
    """The clip of activations does not reach h."""
    if case.cell != "lstm" or not case.option("gate_clip"):
        return None
    return expected(case, clip_reaches_c=False)


def padding_reversed_too(case: Case) -> Answer | None:
    """The whole axis is turned, and the first steps of that are taken for the valid ones."""
    if case.lengths is None or not any(layer.backward.value for layer in case.layers):
        return None
    turned = expected(replace(forward_alone(case) or case, x=case.x[:, ::-1]))
    return tuple(
        {name: array[:, ::-1] if name in ("outputs", "c") else array for name, array in one.items()}
        if layer.backward.value
        else right
        for layer, one, right in zip(case.layers, turned, expected(case), strict=True)
    )


def units_beyond(block: int) -> Made:
    """Units beyond a block of threads are never written: every step hands on zeros for them."""

    def answer(case: Case) -> Answer | None:
        if case.units <= block or case.layers[0].cell.num_proj is not None:
            return None
        kept = np.arange(case.units) < block

        def masked(states: Answer) -> Answer:
            return tuple({name: array * kept for name, array in one.items()} for one in states)

        cut = with_layers(case, with_weights(_cut(kept)))
        if case.lengths is not None or len(case.layers) > 1 or case.layers[0].backward.value:
            return masked(expected(cut))
        # What is given before the first step is read whole: only what is written is cut off.
        first = masked(expected(replace(case, x=case.x[:, :1])))
        start = {name: first[0][f"final_{name}"] for name in case.states}
        rest = masked(expected(replace(cut, x=case.x[:, 1:], initial=(start,))))
        return (
            {
                name: np.concatenate([first[0][name], array], axis=1) if array.ndim == 3 else array
                for name, array in rest[0].items()
            },
        )

    return answer


def _cut(kept: Array) -> Callable[[Mapping[str, Array]], Mapping[str, Array]]:
    return lambda held: {
        "recurrent_kernel": (held["recurrent_kernel"] * kept[:, None]).astype(held["kernel"].dtype)
    }


def one_long_sequence(case: Case) -> Answer | None:
    """A packed batch run as one sequence: the valid steps of all sequences, step by step."""
    if case.lengths is None or len(case.x) < 2:
        return None
    valid = case.mask
    assert valid is not None
    steps, rows = np.nonzero(valid.T)
    if not len(rows):
        return None
    packed = replace(case, x=case.x[rows, steps][None], lengths=None, initial=None)
    answer = []
    for one in expected(packed):
        outputs = np.zeros((*case.x.shape[:2], one["outputs"].shape[-1]))
        outputs[rows, steps] = one["outputs"][0]
        answer.append({"outputs": outputs})
    return tuple(answer)
