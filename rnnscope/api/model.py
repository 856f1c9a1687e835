"""A saved model, opened: its layers with their weights in one gate order, and what was left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnscope.deferred_dataclass import dataclass

if TYPE_CHECKING:
    from rnnscope.api.trace import StateTrace
    from rnnscope.checkpoints.interface import Checkpoint, LeftOut
    from rnnscope.model.cell import Option
    from rnnscope.model.evidence import Evidence
    from rnnscope.model.network import Network, Node
    from rnnscope.record.results.inspect_report import InspectReport
    from rnnscope.running.stepping import StepStates


@dataclass(frozen=True, eq=False)
class ModelLayer:
    """One direction of one recurrent layer.

    Attributes
    ----------
    name : str
        As the file gives it.
    kind : str
        ``"lstm"``, ``"gru"``, …: a key of `rnnscope.model.cells.CELLS`.
    cell : str
        The class that made it: ``"BasicLSTMCell"``.
    weights : object
        Arrays by attribute: ``kernel`` (input, 4·num_units), ``recurrent_kernel``
        (output, 4·num_units), ``bias`` and so on, gate blocks in the order i, f, g, o whatever
        the file's own; `rnnscope.model.cell.LSTMWeights` and its like describe them.
    options : mapping of str to Option
        Each with ``.value`` and ``.origin``.
    reads : tuple of str
        The layers or inputs it reads.
    backward : bool
        True if it reads the sequence from its end.
    evidence : Evidence
        How it is known that this is what the layer computes: ``.kind`` (``"proved"``,
        ``"evaluated"``, ``"by configuration"``, ``"by name"``, …), ``.steps``, ``.difference``;
        printed, in words.
    """

    name: str
    kind: str
    cell: str
    weights: Any
    options: Mapping[str, Option[Any]]
    reads: tuple[str, ...]
    backward: bool
    evidence: Evidence


class Model:
    """A saved model as data; `open_model` makes one.

    Attributes
    ----------
    path : Path
    format : str
        The reader that took it.
    framework : str
        Who wrote it, as far as it tells.
    layers : mapping of str to ModelLayer
        In an order that can be run.
    left_out : tuple of LeftOut
        Stored variables and layers that are no part of the recurrent computation, with reasons.
    notes : tuple of str
        What had to be assumed.
    checkpoint : Checkpoint
        The model as the library's own functions take it.
    """

    def __init__(self, checkpoint: Checkpoint, layout: str | None = None) -> None:
        self.checkpoint, self._layout = checkpoint, layout
        self.path: Path = checkpoint.path
        self.format: str = checkpoint.format
        self.framework: str = checkpoint.framework
        self.left_out: tuple[LeftOut, ...] = checkpoint.left_out
        self.notes: tuple[str, ...] = checkpoint.notes
        self.layers: Mapping[str, ModelLayer] = {
            node.name: _layer(node) for node in checkpoint.network.recurrent
        }

    @property
    def network(self) -> Network:
        """Every layer that can be computed, and how they feed each other."""
        return self.checkpoint.network

    @property
    def report(self) -> InspectReport:
        """What ``rnnscope inspect`` prints."""
        from rnnscope.record.results.inspect_report import inspect_report

        return inspect_report(self.checkpoint)

    def run(self, inputs: Any, /, **options: Any) -> StateTrace:
        """As `rnnscope.run` of this model."""
        from rnnscope.api.run import run

        return run(self.path, inputs, **self._with_layout(options))

    def steps(self, inputs: Any, /, **options: Any) -> Iterator[Mapping[str, StepStates]]:
        """Run the model one timestep at a time.

        Parameters
        ----------
        inputs : array (sequence, timestep, feature), str or path
            As `rnnscope.run` takes it.
        **options
            Options of a run that say what is computed: ``lengths``, ``initial_c``, ``layers``, …

        Yields
        ------
        mapping of str to StepStates
            By layer: ``c``, ``m``, ``outputs``, ``gates`` and what it read, of all sequences.

        Raises
        ------
        RnnscopeError
            The input does not fit, or a layer needs more than one step at a time.

        Examples
        --------
        >>> import numpy as np, rnnscope
        >>> model = rnnscope.open_model("sample_data/lstm_float64/model.ckpt")
        >>> x = np.zeros((1, 3, 8))
        >>> [step["rnn/lstm_cell"].c.shape for step in model.steps(x)]
        [(1, 64), (1, 64), (1, 64)]
        """
        from rnnscope.options.table import OF_THE_MODEL
        from rnnscope.options.unread import refuse_unread
        from rnnscope.record.planning import plan_recipe
        from rnnscope.record.recipes.recipe import Recipe
        from rnnscope.running.prepare import prepare
        from rnnscope.running.stepping import step_through

        refuse_unread(options, OF_THE_MODEL, "steps are computed one at a time, and none is kept")
        recipe = Recipe.make(self.path, inputs, **self._with_layout(options))
        with plan_recipe(recipe) as planned:
            yield from step_through(prepare(planned.plan, planned.source))

    def _with_layout(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {**({"layout": self._layout} if self._layout else {}), **options}

    def __str__(self) -> str:
        return str(self.report)

    def __repr__(self) -> str:
        return f"<Model {self.path} ({self.format}): {', '.join(self.layers) or 'no layers'}>"


def _layer(node: Node) -> ModelLayer:
    layer = node.recurrent
    assert layer is not None
    cell = layer.cell
    return ModelLayer(
        name=node.name,
        kind=cell.kind,
        cell=cell.source_class,
        weights=cell.weights,
        options=dict(cell.options.items()),
        reads=node.reads,
        backward=layer.backward.value,
        evidence=layer.evidence,
    )


def open_model(path: str | PathLike[str], *, layout: str | None = None) -> Model:
    """Open a saved model as data: nothing of it is executed, no framework is imported.

    Parameters
    ----------
    path : str or path
        A file, a folder, or the prefix of a TensorFlow checkpoint, of any format that
        ``rnnscope inspect`` reads.
    layout : str, optional
        Whose names and gate order bare arrays of an ``.npz`` have: ``"tf1"``, ``"keras"``,
        ``"torch"`` or ``"onnx"``.

    Raises
    ------
    CheckpointError
        No reader takes the file, or it is damaged.
    UnsupportedCellError
        A cell in it cannot be computed; it names the variable.

    Examples
    --------
    >>> import rnnscope
    >>> model = rnnscope.open_model("sample_data/lstm_float64/model.ckpt")
    >>> list(model.layers)
    ['rnn/lstm_cell']
    >>> layer = model.layers["rnn/lstm_cell"]
    >>> layer.weights.kernel.shape, layer.options["forget_bias"].value
    ((8, 256), 1.0)
    >>> layer.options["forget_bias"].origin
    'graph'
    """
    from rnnscope.checkpoints import read_checkpoint

    return Model(read_checkpoint(Path(path), layout=layout), layout)
