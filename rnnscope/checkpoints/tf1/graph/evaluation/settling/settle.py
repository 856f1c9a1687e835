"""What becomes of each layer once the graph itself was asked: proved, evaluated, or refused."""

from __future__ import annotations

from dataclasses import replace

from rnnscope.checkpoints.tf1.graph.evaluation.proving.cell_record import Obstacle
from rnnscope.checkpoints.tf1.graph.evaluation.proving.proof import Proof
from rnnscope.checkpoints.tf1.graph.evaluation.proving.verdict import Fault, Verdict
from rnnscope.checkpoints.tf1.graph.evaluation.settling.evaluated_cell import (
    as_graph_cell,
    attends_unrolled,
)
from rnnscope.checkpoints.tf1.graph.evaluation.settling.graph_run import ModelInput
from rnnscope.checkpoints.tf1.graph.evaluation.settling.settling_network import SettlingNetwork
from rnnscope.checkpoints.tf1.graph.evaluation.settling.unknown_layers import add_unknown_layers
from rnnscope.checkpoints.tf1.graph.layers.network import GraphNetwork
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import peel
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView
from rnnscope.checkpoints.tf1.graph.nodes.weights import GraphWeights
from rnnscope.model.evidence import Evidence
from rnnscope.model.layers import Masking, Unsupported
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer


def settle(
    view: GraphView, weights: GraphWeights, built: GraphNetwork, proof: Proof
) -> GraphNetwork:
    """A network in which every layer is accounted for.

    A layer that the graph agrees with is proved. Where the graph puts more in front of it than
    was read, this is evaluated (`GraphFront`); where it computes something else, the layer itself
    is (`graph` of CELLS); where neither can be done, the layer is refused, with the reason.
    """
    settled = SettlingNetwork(view, weights, built, proof)
    for node in built.network.nodes:
        if node.recurrent is None:
            settled.nodes.setdefault(node.name, node)
        else:
            _settle_layer(settled, node, node.recurrent)
    add_unknown_layers(settled)
    return settled.finished()


def _settle_layer(settled: SettlingNetwork, node: Node, layer: RecurrentLayer) -> None:
    verdict = settled.proof.verdicts.get(node.name)
    if verdict is not None and verdict.turned is not None:
        layer = verdict.turned
    if verdict is None:
        obstacle = settled.proof.obstacles[node.name]
        if obstacle.refuses:
            settled.refuse(node, f"'{node.name}' is not understood: {obstacle.words}")
            return
        known = Evidence("by data flow", detail=obstacle.words)
        settled.nodes[node.name] = replace(node, layer=replace(layer, evidence=known))
        if not settled.is_obstructed(node):
            settled.notes.append(
                f"'{node.name}' was read by data flow, and could not be held to what the graph "
                f"computes: {obstacle.words}."
            )
    elif not _taken(settled, node, layer, verdict):
        if layer.lengths.value.kind == "computed" and not verdict.kinds() - {"input"}:
            verdict.faults.append(Fault("lengths", "computes its lengths"))
        turns = "turn" in verdict.kinds()
        why = "" if turns else as_graph_cell(settled, node, layer, verdict)
        if why or turns:
            _refuse(settled, node, layer, verdict, why)


def _taken(settled: SettlingNetwork, node: Node, layer: RecurrentLayer, verdict: Verdict) -> bool:
    """Take a layer as it was read, if the graph agrees, or differs in nothing but what is read."""
    if not verdict.faults:
        return _proved(settled, node, layer, verdict)
    return verdict.kinds() == {"input"} and _front(settled, node, layer, verdict)


def _proved(settled: SettlingNetwork, node: Node, layer: RecurrentLayer, verdict: Verdict) -> bool:
    """Take a layer as it was read, behind a mask of the lengths that the graph computes for it."""
    layer, reads = replace(layer, evidence=verdict.evidence), node.reads
    if layer.lengths.value.kind == "computed":
        source = settled.source_of_lengths(node.name)
        if source is None or not reads:
            return False
        layer, name = settled.behind_lengths(node.name, layer, reads[0], source)
        reads = (name,)
    settled.nodes[node.name] = replace(node, layer=layer, reads=reads)
    return True


def _front(settled: SettlingNetwork, node: Node, layer: RecurrentLayer, verdict: Verdict) -> bool:
    """Put what the graph computes in front of a proved cell, if it can be evaluated."""
    if attends_unrolled(settled, node):
        return False
    record = settled.proof.records[node.name]
    found = settled.search.find(node.name, settled.cells(node.name), record, layer, None)
    if isinstance(found, Obstacle):
        return _without_front(settled, node, layer, verdict, found.lacks)
    evaluated, source = found
    masking = _masking_of(settled, node, layer, source)
    if masking is None:
        return False
    layer = settled.directions.aligned(node.name, layer, settled.cells(node.name), source)
    if layer.lengths.value.kind == "computed":
        # Past the longest length the loop reads nothing.
        if settled.proof.records[node.name].steps != settled.proof.sizes.timesteps:
            return False
        evaluated = replace(evaluated, whole_time=True)
        layer, masking = settled.behind_lengths(node.name, layer, source.name, source)
    evaluated = replace(evaluated, layer=layer)
    name = node.reads[0] if node.reads else ""
    if not name or name in settled.built.network.by_name or name == source.name:
        name = f"{node.name}[x]"
    front = evaluated.as_front(name)
    settled.inputs.setdefault(source.name)
    settled.nodes[name] = Node(name, front, (masking or source.name,))
    proved = replace(layer, evidence=verdict.evidence)
    settled.nodes[node.name] = replace(node, layer=proved, reads=(name,))
    settled.used.update(settled.variables_behind([settled.cells(node.name)[0].x]))
    settled.note_assumed(node.name, evaluated)
    return True


def _without_front(
    settled: SettlingNetwork, node: Node, layer: RecurrentLayer, verdict: Verdict, lacks: str
) -> bool:
    """Let a proved cell be given its x itself, where this needs another input of the model."""
    steps = settled.proof.records[node.name].steps
    if not lacks or not node.reads or steps != settled.proof.sizes.timesteps:
        return False  # a single step is no layer that takes a sequence
    if layer.lengths.value.kind in ("computed", "mask"):
        return False
    name = f"{node.name}[x]"
    reason = f"what '{node.name}' reads is computed with '{lacks}', which a run does not give"
    settled.nodes[name] = Node(name, Unsupported("graph ops", name, reason), node.reads)
    verdict.unchecked.append("what it reads")
    proved = replace(layer, evidence=verdict.evidence)
    settled.nodes[node.name] = replace(node, layer=proved, reads=(name,))
    return True


def _masking_of(
    settled: SettlingNetwork, node: Node, layer: RecurrentLayer, source: ModelInput
) -> str | None:
    """The node that makes a layer's mask, in front of what is put before the layer.

    Empty where the layer takes no mask that the graph makes; None where the mask is not one of
    the input that the front begins with, and would be lost.
    """
    if layer.lengths.value.kind == "computed":
        return "" if settled.computes_lengths(node.name, source) else None
    if layer.lengths.value.kind != "mask":
        return ""
    name = node.reads[0] if node.reads else ""
    maker = settled.nodes.get(name) or settled.built.network.by_name.get(name)
    compared = settled.view.node(GraphTensor(name)) if name else None
    if maker is None or compared is None or not isinstance(maker.layer, Masking):
        return None
    if not any(peel(settled.view, ref).node == source.name for ref in compared.inputs):
        return None
    settled.nodes[name] = replace(maker, reads=(source.name,))
    return name


def _refuse(
    settled: SettlingNetwork, node: Node, layer: RecurrentLayer, verdict: Verdict, why: str
) -> None:
    """A layer that neither agrees nor can be evaluated; behind a stand-in it has its words."""
    if verdict.kinds() <= {"input", "start", "outputs"} and settled.is_obstructed(node):
        known = Evidence("by data flow", detail=why)
        settled.nodes[node.name] = replace(node, layer=replace(layer, evidence=known))
        return
    words = "; ".join(dict.fromkeys(fault.words for fault in verdict.faults))
    apart = f" ({why})" if why else ""
    settled.refuse(node, f"'{node.name}' {words}, which is not computed{apart}")
