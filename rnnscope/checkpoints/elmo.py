"""AllenNLP's ELMo weights (``…_weights.hdf5``): two stacks of projected LSTMs that read a sentence.

The names are those of TensorFlow 0.12, from which the weights were dumped. What stands in code is
taken from AllenNLP: a stack a direction, each layer from the second on adds its input to its
output. The clips and whether inputs are added stand in ``…_options.json``, which is read if it
lies beside.

References
----------
allennlp/modules/elmo_lstm.py: ``ElmoLstm.load_weights`` (order i g f o, 1 added to f) and
``_lstm_forward`` (skip connections); allennlp/modules/lstm_cell_with_projection.py: the clips of c
and m; allennlp/modules/elmo.py: ``_ElmoBiLm`` (the options), ``_ElmoCharacterEncoder`` (the front).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnnscope.checkpoints.interface import Checkpoint, LeftOut, Reader
from rnnscope.checkpoints.tf1.names import read_named_model
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError, UnsupportedCellError
from rnnscope.files.hdf5.safe_hdf5 import (
    child,
    child_names,
    has_signature,
    load_array,
    open_h5,
    walk_datasets,
)
from rnnscope.files.tensorflow.bundle import VariableInfo
from rnnscope.model.cell import Array, CellSpec, Option, Origin
from rnnscope.model.layers import Merge
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer

STACK = re.compile(
    r"(?P<stack>RNN_(?P<way>[01])/RNN/MultiRNNCell)/Cell(?P<level>\d{1,2})/(?:LSTMCell/)?"
)
FRONT = re.compile(r"CNN(_high|_proj)?(_\d+)?/|char_embed$")
MAX_OPTIONS = 2**20

INPUT_NOTE = (
    "The input is what the character encoder gives (token embeddings of the width of m), which is "
    "left out. AllenNLP starts a batch from the last batch's state unless it is told not to: here "
    "every sequence starts from zero."
)
PUBLISHED_CLIP = 3.0
"""Of c and of m, in all options that were published with weights of ELMo."""


@dataclass(frozen=True)
class ElmoOptions:
    """What the options beside the weights say of the LSTMs."""

    cell_clip: float | None = PUBLISHED_CLIP
    proj_clip: float | None = PUBLISHED_CLIP
    skip: bool = True
    file: Path | None = None

    @property
    def origin(self) -> Origin:
        """Read, or what the published ones say."""
        return "guess" if self.file is None else "config"

    @property
    def told(self) -> str:
        """Who says so."""
        return "as in the published options" if self.file is None else self.file.name


class _H5Variables:
    """The datasets of a file by name."""

    def __init__(self, path: Path) -> None:
        self.files = (path,)
        self._path = path
        with open_h5(path) as file:
            self.variables: Mapping[str, VariableInfo] = {
                name: VariableInfo(name, str(dataset.dtype), tuple(dataset.shape or ()))
                for dataset in walk_datasets(file)
                for name in (str(dataset.name).lstrip("/"),)
            }

    def read(self, name: str) -> Array:
        """A dataset."""
        with open_h5(self._path) as file:
            found = child(file, name)
            if found is None or not hasattr(found, "shape"):
                raise CheckpointError("The file has no such dataset.", where=self._path, found=name)
            return load_array(found)


def sniff(path: Path) -> bool:
    """Whether an HDF5 file has the two stacks of ELMo. Never raises."""
    if not path.is_file() or not has_signature(path):
        return False
    try:
        with open_h5(path) as file:
            names = child_names(file)
            return "RNN_0" in names and child(file, "RNN_0/RNN/MultiRNNCell/Cell0") is not None
    except Exception:  # noqa: BLE001 - damaged files are told by the other reader of HDF5
        return False


def _options(path: Path) -> ElmoOptions:
    """Those beside the weights: ``X_weights.hdf5`` has ``X_options.json``, or ``options.json``."""
    names = (path.name.rpartition("weights.")[0] + "options.json", "options.json")
    file = next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)
    if file is None:
        return ElmoOptions()
    try:
        with file.open("rb") as stream:
            lstm: Any = json.loads(stream.read(MAX_OPTIONS))["lstm"]
        clips = [lstm.get("cell_clip"), lstm.get("proj_clip")]
        cell, proj = (None if clip is None else float(clip) for clip in clips)
        return ElmoOptions(cell, proj, bool(lstm.get("use_skip_connections")), file)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            "The options beside the weights of ELMo cannot be read.",
            where=file,
            expected='an object with "lstm": {"cell_clip": …, "proj_clip": …}',
            found=str(error)[:200] or type(error).__name__,
            hint="put the file that belongs to the weights there, or none",
        ) from error


def read_elmo(path: Path) -> Checkpoint:
    """Read both stacks of a file of ELMo's weights.

    Raises
    ------
    CheckpointError
        The file, or the options beside it, are damaged.
    UnsupportedCellError
        Its variables make no stack of LSTMs.
    """
    stored, options = _H5Variables(path), _options(path)
    model = read_named_model(stored)
    nodes = tuple(_as_elmo(node, options) for node in model.network.nodes)
    network = Network(model.network.inputs, nodes)
    stacks = [node for node in network.recurrent if STACK.match(f"{node.name}/")]
    if not stacks or len(stacks) != len(network.recurrent):
        raise UnsupportedCellError(
            "The variables of the file make no stacks of ELMo's LSTMs.",
            where=path,
            expected="RNN_0/RNN/MultiRNNCell/Cell0/LSTMCell/W_0, B and W_P_0, and RNN_1",
            found=", ".join(list(stored.variables)[:6]),
        )
    skip = "from the second layer on the input is added to the output" if options.skip else ""
    clips = f"c and m are clipped at {options.cell_clip} and {options.proj_clip}"
    notes = (f"{clips}{', and ' if skip else ''}{skip} ({options.told}).", INPUT_NOTE)
    return Checkpoint(
        path=path,
        format=READER.name,
        framework="AllenNLP ELMo",
        files=(path,) if options.file is None else (path, options.file),
        network=network,
        left_out=tuple(_left_out(entry) for entry in model.left_out),
        notes=notes,
        read_variable=stored.read,
    )


def _left_out(entry: LeftOut) -> LeftOut:
    return replace(entry, reason="character encoder") if FRONT.match(entry.name) else entry


def _as_elmo(node: Node, options: ElmoOptions) -> Node:
    """A layer with what AllenNLP's code does around and inside it."""
    found = STACK.match(f"{node.name}/")
    if found is None or not isinstance(node.layer, RecurrentLayer):
        return node
    layer = node.layer
    wrapped = options.skip and int(found["level"]) > 0
    return replace(
        node,
        layer=replace(
            layer,
            cell=_clipped(layer.cell, options),
            backward=Option(found["way"] == "1", "class default", "RNN_1 reads from the end"),
            padding=Option("zeros", "class default", "as AllenNLP's _EncoderBase"),
            state_format=Option("tuple (h, c)", "class default"),
            wrapper=(Merge("Add"),) if wrapped else (),
        ),
    )


def _clipped(cell: CellSpec, options: ElmoOptions) -> CellSpec:
    clips = {
        name: Option(value, options.origin, options.told)
        for name, value in (("cell_clip", options.cell_clip), ("proj_clip", options.proj_clip))
    }
    forget = Option(1.0, "class default", "load_weights adds it")
    return replace(
        cell,
        source_class="LstmCellWithProjection",
        options=replace(cell.options, forget_bias=forget, **clips),
    )


READER = Reader(
    name="elmo",
    title="AllenNLP's ELMo weights (.hdf5)",
    reads="both stacks of LstmCellWithProjection; clips and skip connections from options.json "
    "beside it, else as published",
    does_not_read="the character encoder in front, the scalar mix behind; states kept from batch "
    "to batch",
    sniff=sniff,
    read=read_elmo,
)
