"""Sizes at which something else gives way: nothing at all, one of each, very many layers."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from rnnscope import pool
from rnnscope.model.network import Network, Node
from rnnscope.model.states import LayerStates
from rnnscope.trace import LayerHeader, Trace, TraceHeader, TraceWriter
from rnnscope.trace.stores import hdf5_nodes


@pytest.mark.parametrize("shape", [(0, 5, 2), (3, 0, 2), (0, 0, 2)])
def test_inputs_without_steps_are_refused(files, rnnscope, shape):
    np.save("none.npy", np.zeros(shape, "f4"))
    found = rnnscope("run", "w.npz", "none.npy", "--layout", "tf1", "-o", "t.h5")
    assert found.code == 2
    assert "The input has no steps." in found.stderr
    assert not Path("t.h5").exists()


COMMANDS = (
    "check t.h5 --recompute", "diff t.h5 t.h5", "rerun t.h5", "show t.h5",
    "export t.h5 --to arrays -o a.npz", "export t.h5 --to torch -o t.npz",
    "export t.h5 --to lstmvis -o lstmvis", "pool t.h5 --method mean", "report t.h5 -o p.html",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_one_sequence_of_one_step(files, rnnscope, command):
    np.save("one.npy", np.ones((1, 1, 2), "f4"))
    assert rnnscope("run", "w.npz", "one.npy", "--layout", "tf1", "-o", "t.h5").code == 0
    found = rnnscope(*command.split())
    assert found.code == 0, found.stderr


@pytest.mark.slow
def test_more_layers_than_the_oldest_hdf5_has_room_for(tmp_path):
    """The scale of the sequences lists 700 x 6 arrays; at 4,086 a trace could not be written."""
    headers = [LayerHeader(f"layer{number}", 1, {"c": 1, "m": 1}) for number in range(700)]
    zeros, ends = np.zeros((1, 1, 1), "f4"), {name: np.zeros((1, 1), "f4") for name in "cm"}
    with TraceWriter(tmp_path / "t.h5", TraceHeader(), headers, 1, 1) as writer:
        for number, header in enumerate(headers):
            c = np.full((1, 1, 1), number, "f4")
            states = LayerStates({"c": c, "m": zeros}, outputs=zeros, initial=ends, final=ends)
            writer.write_layer(header.name, states, slice(0, 1))
    with h5py.File(tmp_path / "t.h5") as file:
        assert len(file["sequence"].attrs["REFERENCE_LIST"]) > 4086
        assert file["layer699/c"].dims[0][0] == file["sequence"]
    with Trace.open(tmp_path / "t.h5") as stored:
        assert len(stored.layers) == 700
    pool(tmp_path / "t.h5", "last", layers=["layer699"], state="c", output=tmp_path / "p.npy")
    assert np.load(tmp_path / "p.npy").tolist() == [[699]]


def test_few_layers_are_written_for_the_oldest_readers(files, run):
    assert run().code == 0
    assert Path("t.h5").read_bytes()[8] == 0  # the version of the superblock, of HDF5 1.0


def test_many_layers_are_not(files, run, monkeypatch):
    monkeypatch.setattr(hdf5_nodes, "MAX_REFERENCES", 2)
    assert run().code == 0
    assert Path("t.h5").read_bytes()[8] == 2
    with Trace.open(Path("t.h5")) as trace:
        assert [header.name for header in trace.layers] == ["rnn/lstm_cell"]


def chain(count):
    """Plain nodes, each reading the next one in the list."""
    nodes = [Node(f"n{number}", object(), (f"n{number + 1}",)) for number in range(count)]
    return Network((f"n{count}",), tuple(nodes))


def test_networks_deeper_than_the_stack():
    deep = chain(20_000)
    assert deep.circle() == ()
    ordered = deep.in_order()
    assert [node.name for node in ordered.nodes][:2] == ["n19999", "n19998"]
    assert len(ordered.nodes) == 20_000
    (last,) = (node for node in deep.nodes if node.name == "n19999")
    round_ = deep.replaced({"n19999": Node(last.name, last.layer, ("n19998",))})
    assert round_.circle() == ("n19998", "n19999", "n19998")
