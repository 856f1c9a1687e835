"""TensorFlow's fused kernels of its first version: BlockLSTM, and GRUBlockCell step by step.

They are what LSTMBlockFusedCell and GRUBlockCell of saved graphs compute with. The cells themselves
(tf.compat.v1.nn.rnn_cell) are not there any more beside Keras 3; of the simple cell there is no
kernel. Directions are turned as TensorFlow's own bidirectional layers did it, by ``tf.reverse``.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from rnnscope.conforming.case import Answer, Case
from rnnscope.conforming.engines.interface import NotOffered
from rnnscope.model.cell import Array, reorder_gates
from rnnscope.model.cells.gru import GRU_GATE_ORDER
from rnnscope.oracles.importing import import_framework

WORDS = {
    "gate_clip": "clip of what enters activations", "coupled": "coupled forget gate",
    "reset_after": "reset gate behind the product",
}  # fmt: skip


class TensorFlowEngine:
    """The kernels on the CPU."""

    gives: ClassVar[str] = "m and c of every step"

    def __init__(self) -> None:
        self._tf = import_framework("tensorflow", "engine tensorflow", "take another engine")
        self.version = f"TensorFlow {self._tf.__version__}, BlockLSTM and GRUBlockCell"

    def run(self, case: Case) -> Answer:
        """The kernel, once for each direction."""
        lacks = _beyond(case)
        if lacks:
            raise NotOffered(lacks)
        one = self._lstm if case.cell == "lstm" else self._gru
        return tuple(one(case, number) for number in range(len(case.layers)))

    def _turned(self, case: Case, number: int, array: Array) -> Array:
        turn = case.layers[number].backward.value
        turned: Array = self._tf.reverse(array, axis=[1]).numpy() if turn else array
        return turned

    def _lstm(self, case: Case, number: int) -> dict[str, Array]:
        tf, cell, start = self._tf, case.layers[number].cell, case.start(number)
        weights, none = cell.weights, np.zeros(cell.num_units, cell.dtype)
        kernel = np.concatenate([weights.kernel, weights.recurrent_kernel])
        clip = cell.options.cell_clip.value
        out = tf.raw_ops.BlockLSTM(
            seq_len_max=case.steps,
            x=np.ascontiguousarray(self._turned(case, number, case.x).swapaxes(0, 1)),
            cs_prev=start["c"],
            h_prev=start["m"],
            w=reorder_gates(kernel, "ifgo", order="igfo"),
            b=reorder_gates(weights.bias, "ifgo", order="igfo"),
            **{
                f"wc{gate}": weights_of if weights_of is not None else none
                for gate in "ifo"
                for weights_of in (getattr(weights, f"peephole_{gate}"),)
            },
            forget_bias=cell.options.forget_bias.value,
            cell_clip=-1.0 if clip is None else clip,
            use_peephole=cell.peepholes,
        )
        c, m = (array.numpy().swapaxes(0, 1) for array in (out.cs, out.h))
        return {
            "outputs": self._turned(case, number, m),
            "c": self._turned(case, number, c),
            "final_m": m[:, -1],
            "final_c": c[:, -1],
        }

    def _gru(self, case: Case, number: int) -> dict[str, Array]:
        tf, cell = self._tf, case.layers[number].cell
        weights = cell.weights
        kernel = np.concatenate([weights.kernel, weights.recurrent_kernel])
        ru, n = (reorder_gates(kernel, GRU_GATE_ORDER, order=order) for order in ("rz", "n"))
        b_ru, b_n = (
            reorder_gates(weights.bias, GRU_GATE_ORDER, order=order) for order in ("rz", "n")
        )
        x, m, every = self._turned(case, number, case.x), case.start(number)["m"], []
        for t in range(case.steps):
            out = tf.raw_ops.GRUBlockCell(
                x=np.ascontiguousarray(x[:, t]), h_prev=m, w_ru=ru, w_c=n, b_ru=b_ru, b_c=b_n
            )
            m = out.h.numpy()
            every.append(m)
        return {"outputs": self._turned(case, number, np.stack(every, axis=1)), "final_m": m}

    def close(self) -> None:
        """Nothing runs beside this process."""


def _beyond(case: Case) -> str:
    """What the kernels cannot say; empty if they can."""
    cell = case.layers[0].cell
    if case.cell == "rnn":
        return "TensorFlow has no kernel of a simple cell"
    kernel = "BlockLSTM" if case.cell == "lstm" else "GRUBlockCell"
    if case.lengths is not None:
        return f"{kernel} knows no lengths of single sequences"
    if cell.num_proj is not None:
        return f"{kernel} has no projection"
    for name, words in WORDS.items():
        if case.option(name):
            return f"{kernel} has no {words}"
    chosen = {case.option("activation"), case.option("output_activation", "tanh")}
    if chosen != {"tanh"} or case.option("recurrent_activation") != "sigmoid":
        return f"{kernel} has tanh and sigmoid alone"
    if cell.dtype.name not in (("float16", "float32") if case.cell == "lstm" else ("float32",)):
        return f"{kernel} does not compute in {cell.dtype}"
    return ""
