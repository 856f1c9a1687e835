"""What a run says of the places at which its input goes in."""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.model.layers import Dense, Embedding, Masking, PassThrough, Unsupported
from rnnscope.model.network import Network, Node
from rnnscope.running.entrance_notes import entrance_notes

LAYER = PassThrough("stands for a recurrent layer")
"""Of the layers that are run, only names count here."""


def notes_of(front: object, *, model_input: bool = False) -> list[str]:
    """The notes where one layer stands in front of another, whose place the input takes."""
    network = Network(("x",), (Node("front", front, ("x",)), Node("lstm", LAYER, ("front",))))
    return list(entrance_notes(network, {"lstm": "front"}, model_input=model_input))


def test_an_input_for_several_inputs_of_the_model_is_told() -> None:
    network = Network(("a", "b"), (Node("one", LAYER, ("a",)), Node("two", LAYER, ("b",))))
    (note,) = entrance_notes(network, {"one": "a", "two": "b"}, model_input=False)
    assert "'a' (of 'one') and 'b' (of 'two')" in note
    assert "feed=one" in note


def test_one_input_for_both_directions_is_no_news() -> None:
    network = Network(("a",), (Node("fw", LAYER, ("a",)), Node("bw", LAYER, ("a",))))
    assert not list(entrance_notes(network, {"fw": "a", "bw": "a"}, model_input=False))


@pytest.mark.parametrize(
    ("front", "way"),
    [
        (PassThrough("Reverse"), "model_input"),
        (Unsupported("Lambda", "front", "is not computed"), "rnnscope does not compute it"),
        (Dense(np.ones((4, 4))), "model_input"),
    ],
)
def test_what_stands_in_front_and_may_be_overlooked_is_told(front: object, way: str) -> None:
    (note,) = notes_of(front)
    assert "'front'" in note
    assert way in note
    assert not notes_of(front, model_input=True)


@pytest.mark.parametrize(
    "front", [Dense(np.ones((3, 4))), Embedding(np.ones((9, 4)), name="e"), Masking()]
)
def test_what_another_width_or_ids_or_another_note_tell_is_not_said(front: object) -> None:
    assert not notes_of(front)
