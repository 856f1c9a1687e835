"""Loops, branches and variables: subgraphs in the place of the operators that call them.

A WHILE of TensorFlow Lite asks one subgraph whether to go on and lets another make the next values;
ONNX's Loop has both in one body.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rnnscope.checkpoints.tflite.lite_model import LiteGraph
from rnnscope.checkpoints.tflite.translation.builder import LiteGraphUnderConstruction
from rnnscope.checkpoints.tflite.translation.site import Site, Tell, Values
from rnnscope.checkpoints.translated.messages import NotTranslated

Translate = Callable[[Values], None]


def control(translate: Translate) -> dict[str, Tell]:
    """By operator; `translate` adds the nodes of a subgraph."""

    def called(
        values: Values, number: int, build: LiteGraphUnderConstruction, handed: list[str]
    ) -> list[str]:
        graph = _subgraph(values, number, handed)
        inside = Values(values.model, graph, build, dict(zip(graph.inputs, handed, strict=True)),
                        values.variables)  # fmt: skip
        translate(inside)
        return [inside.value(place) for place in graph.outputs]

    def while_(site: Site) -> None:
        o, handed = site.options, site.every()
        (goes_on,) = called(site.values, o.cond_subgraph_index, site.build, handed)
        body = LiteGraphUnderConstruction()
        graph = _subgraph(site.values, o.body_subgraph_index, handed)
        for name in ("turn", "goes on"):
            body.untyped_input(name)
        names = [body.untyped_input(graph.tensors[place].name) for place in graph.inputs]
        made = called(site.values, o.body_subgraph_index, body, names)
        (again,) = called(site.values, o.cond_subgraph_index, body, made)
        for name in (again, *made):
            body.output(name)
        site.build.add_node("Loop", ["", goes_on, *handed],
                        [site.named(number) for number in range(len(handed))],
                        name=_own_name(site), body=body)  # fmt: skip

    def if_(site: Site) -> None:
        o, handed = site.options, site.every()[1:]
        branches: dict[str, Any] = {}
        for branch, number in (("then_branch", o.then_subgraph_index),
                               ("else_branch", o.else_subgraph_index)):  # fmt: skip
            inside = LiteGraphUnderConstruction()
            names = [inside.unique(f"handed {place}") for place in range(len(handed))]
            for outer, name in zip(handed, names, strict=True):
                inside.add_node("Identity", [outer], [name])
            for name in called(site.values, number, inside, names):
                inside.output(name)
            branches[branch] = inside
        site.build.add_node("If", [site.x(0)],
                        [site.named(number) for number in range(len(site.op.outputs))],
                        name=_own_name(site), **branches)  # fmt: skip

    return {
        "CALL_ONCE": lambda _: None, "IF": if_, "READ_VARIABLE": lambda site: site.alias(site.x(0)),
        "VAR_HANDLE": _var_handle, "WHILE": while_,
    }  # fmt: skip


def _own_name(site: Site) -> str:
    return site.result().name


def _subgraph(values: Values, number: int, handed: list[str]) -> LiteGraph:
    graphs = values.model.graphs
    if not 0 < number < len(graphs) or len(graphs[number].inputs) != len(handed):
        raise NotTranslated(f"of subgraph {number}")
    return graphs[number]


def _var_handle(site: Site) -> None:
    """A variable that is given a constant once, when the model is loaded, is that constant."""
    tensor = site.values.variables.get(site.options.shared_name or "")
    if tensor is None or tensor.data is None:
        raise NotTranslated(
            f"of a variable '{site.options.shared_name}' that the file gives no value"
        )
    site.alias(site.values.constant(site.options.shared_name, tensor))
