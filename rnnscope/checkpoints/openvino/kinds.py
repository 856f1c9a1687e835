"""The kinds of recurrent layers of OpenVINO, beside the ONNX operators that compute them."""

from __future__ import annotations

from rnnscope.deferred_dataclass import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of recurrent layer.

    Attributes
    ----------
    op : str
        ONNX's operator.
    states : int
    order : tuple of int
        Where each of ONNX's gates lies among OpenVINO's.
    gates : str
        OpenVINO's, in rnnscope's words.
    activations : tuple of str
        Those of a layer that states none.
    outputs : str
    """

    op: str
    states: int
    order: tuple[int, ...]
    gates: str
    activations: tuple[str, ...]
    outputs: str


KINDS = {
    # ONNX has i, o, f, c.
    "LSTM": Kind("LSTM", 2, (1, 3, 0, 2), "f i g o", ("sigmoid", "tanh", "tanh"), "(Ho, Co)"),
    "GRU": Kind("GRU", 1, (0, 1, 2), "z r n", ("sigmoid", "tanh"), "Ho"),
    "RNN": Kind("RNN", 1, (0,), "n", ("tanh",), "Ho"),
}
