"""The classes of LSTM that frameworks offer, and what they do unless told otherwise.

A checkpoint without its graph names the class at best; then these defaults stand in, with origin
``class default``. Sources: TensorFlow's rnn_cell_impl.py, lstm_ops.py and cudnn_rnn_ops.py.
"""

from __future__ import annotations

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import LSTMOptions, Option, Origin


@dataclass(frozen=True)
class CellClass:
    """A class of LSTM cell and its defaults; gates as stored by it.

    Attributes
    ----------
    name : str
    forget_bias : float
        What it adds at run time when the user of the class says nothing.
    stored_gate_order : tuple of str
    """

    name: str
    forget_bias: float
    stored_gate_order: tuple[str, ...] = ("i", "g", "f", "o")

    def options(self, origin: Origin = "class default") -> LSTMOptions:
        """The class's defaults, with that origin."""
        detail = f"default of {self.name}"
        return LSTMOptions(
            forget_bias=Option(self.forget_bias, origin, detail),
            activation=Option("tanh", origin, detail),
            recurrent_activation=Option("sigmoid", origin, detail),
            output_activation=Option("tanh", origin, detail),
            cell_clip=Option(None, origin, detail),
            proj_clip=Option(None, origin, detail),
        )


CELL_CLASSES: dict[str, CellClass] = {
    entry.name: entry
    for entry in (
        CellClass("BasicLSTMCell", 1.0),
        CellClass("LSTMCell", 1.0),
        CellClass("LSTMBlockCell", 1.0),
        CellClass("CudnnCompatibleLSTMCell", 0.0),
    )
}
"""Classes that the option ``cell`` knows, by name."""
