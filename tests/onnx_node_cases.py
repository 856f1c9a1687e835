"""The ONNX project's own node tests, from the installed ``onnx`` package, and running them here."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import warnings
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.checkpoints.onnx.graph.flattening import flatten
from rnnscope.checkpoints.onnx.graph.proto import TABLE
from rnnscope.checkpoints.onnx.graph.stored_values import StoredValues
from rnnscope.checkpoints.onnx.graph.tensors import TensorStore


@dataclass(frozen=True, eq=False)
class NodeCase:
    """One node, what it reads and what it makes, as onnx's reference computes it."""

    name: str
    node: object
    inputs: list
    outputs: list
    more: dict = field(default_factory=dict)

    @property
    def opset(self):
        """The operator set that the case is for; the newest unless it says."""
        import onnx

        imports = self.more.get("opset_imports")
        return imports[0].version if imports else onnx.defs.onnx_opset_version()


@cache
def node_cases(*modules):
    """Every case of some of the package's modules, or of all."""
    package = importlib.import_module("onnx.backend.test.case.node")
    found = []

    def keep(node, inputs, outputs, name, **more):
        found.append(NodeCase(name, node, list(inputs), list(outputs), more))

    names = modules or [module.name for module in pkgutil.iter_modules(package.__path__)]
    before, package.expect = package.expect, keep
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in names:
                wanted = f"onnx.backend.test.case.node.{name}"
                # Cases are made while a module is imported, once more where it was before.
                if wanted in sys.modules:
                    importlib.reload(sys.modules[wanted])
                else:
                    importlib.import_module(wanted)
    finally:
        package.expect = before
    return found


def evaluate(node, arrays, opset):
    """What rnnscope makes of a node of the ``onnx`` package: its outputs by name."""
    import onnx

    graph = onnx.helper.make_graph([node], "case", [], [])
    graph.input.extend(onnx.ValueInfoProto(name=name) for name in arrays)
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in node.output if name)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    return evaluate_model(model, arrays)


def program_of(model):
    """A model of the ``onnx`` package as rnnscope reads it."""
    read = TABLE.message_class("ModelProto").FromString(model.SerializeToString())
    graph = flatten(read, "a test")
    return OnnxProgram(graph, StoredValues(graph, TensorStore(Path("a test"))))


def evaluate_model(model, arrays):
    """The outputs of a model by name."""
    program = program_of(model)
    made = program.evaluation(arrays)
    return {name: made.value(name) for name in program.graph.outputs}


def assert_alike(ours, theirs, *, rtol=2e-5, atol=2e-6):
    """The same shape, kind of number and values; sequences item by item."""
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            assert_alike(mine, other, rtol=rtol, atol=atol)
        return
    theirs = np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert ours.dtype.kind == theirs.dtype.kind
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)
