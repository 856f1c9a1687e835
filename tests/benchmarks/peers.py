"""The ways to run an LSTM over time that the benchmarks compare, on the same weights.

Each peer is a function from a `Case` to a `Ready`: it converts weights and input to its own
layout, and returns what is timed. Conversions are not timed, nor is what turns results back to
(sequence, timestep, unit), so that every peer is met in the layout it likes best.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from narrow_vectors import hold_onnxruntime, hold_rnnscope, hold_torch

from rnnscope.model.cell import Array, CellSpec, LSTMOptions, LSTMWeights, Option, reorder_gates
from rnnscope.model.initial_state import ZERO_STATE
from rnnscope.model.lengths_source import LENGTHS_UNUSED
from rnnscope.model.recurrent_layer import RecurrentLayer

Shape = tuple[int, int, int, int]
"""(batch, time, in, units)."""


@dataclass(frozen=True)
class Case:
    """One layer and its input.

    Weights are uniform within ±1/sqrt(units), as torch and Keras start and about as trained ones
    are; column blocks in the order i, f, g, o. The input is (sequence, timestep, feature).
    """

    shape: Shape
    threads: int

    @cached_property
    def _drawn(self) -> tuple[Array, Array, Array, Array]:
        batch, time, features, units = self.shape
        rng = np.random.default_rng(7)
        most = 1 / np.sqrt(units)

        def draw(*size: int) -> Array:
            return rng.uniform(-most, most, size).astype(np.float32)

        x = rng.standard_normal((batch, time, features)).astype(np.float32)
        return draw(features, 4 * units), draw(units, 4 * units), draw(4 * units), x

    @property
    def kernel(self) -> Array:
        return self._drawn[0]

    @property
    def recurrent(self) -> Array:
        return self._drawn[1]

    @property
    def bias(self) -> Array:
        return self._drawn[2]

    @property
    def x(self) -> Array:
        return self._drawn[3]

    @property
    def x_time_major(self) -> Array:
        return np.ascontiguousarray(self.x.swapaxes(0, 1))

    def layer(self, dtype: str = "float32") -> RecurrentLayer:
        """The layer as rnnscope reads one from a Keras file."""

        def known(value: Any) -> Option[Any]:
            return Option(value, "config")

        tanh, none = known("tanh"), known(None)
        options = LSTMOptions(known(0.0), tanh, known("sigmoid"), tanh, none, none)
        arrays = (array.astype(dtype) for array in (self.kernel, self.recurrent, self.bias))
        cell = CellSpec(
            "lstm", "keras LSTM", LSTMWeights(*arrays), options, (), "i f g o", from_keras=True
        )
        return RecurrentLayer(
            cell,
            backward=known(False),
            padding=known("none"),
            lengths=known(LENGTHS_UNUSED),
            initial_state=known(ZERO_STATE),
            state_format=known("list [h, c]"),
        )

    def reference(self) -> dict[str, Array]:
        """States by the equations as they are written, in float64."""
        from rnnscope.engines.numpy_engine import run_layer

        states = run_layer(self.layer("float64"), self.x.astype(np.float64))
        return dict(states.states)


@dataclass(frozen=True)
class Ready:
    """A peer with its weights and input in place.

    Attributes
    ----------
    run : callable
        What is timed.
    states : callable
        From what `run` returned to ``{"c": …, "m": …}``, (sequence, timestep, unit); without c
        where the peer does not give it.
    """

    run: Callable[[], Any]
    states: Callable[[Any], dict[str, Array]]


def _rnnscope(steps: str, case: Case) -> Ready:
    from concurrent.futures import ThreadPoolExecutor

    from rnnscope.engines.choose import LayerEngine, one_blas_thread
    from rnnscope.engines.workspace import Workspace

    engine = LayerEngine(
        case.layer(),
        engine=steps,
        threads=case.threads,
        pool=ThreadPoolExecutor(case.threads),
        sequences=case.shape[0],  # as a run tells
    )
    if engine.name != steps:
        raise RuntimeError(f"the engine is '{engine.name}'")
    workspace, x = Workspace(), case.x
    blas = ExitStack()  # as a run does, once for all slices; over when the peer is
    blas.enter_context(one_blas_thread(case.threads > 1))

    def run() -> Any:
        assert blas is not None
        return engine.run(x, workspace=workspace)

    return Ready(run, lambda made: dict(made.states))


_compiled = partial(_rnnscope, "compiled")


def _as_on_avx2(hold: Callable[[], None], make: Callable[[Case], Ready], case: Case) -> Ready:
    """A peer kept from wider vectors; it runs in a process of its own, and nothing is put back."""
    if make not in _held:
        hold()
        _held.append(make)
    return make(case)


_held: list[object] = []
"""What this process has held already."""


def _onnxruntime(case: Case) -> Ready:
    """Weights transposed, gates i, o, f, g; two biases, summed inside."""
    import onnxruntime  # type: ignore[import-untyped]
    from onnx import TensorProto, helper, numpy_helper

    _, _, features, units = case.shape
    order = ("i", "o", "f", "g")

    def stored(array: Array, name: str) -> Any:
        turned = reorder_gates(array, ("i", "f", "g", "o"), order=order).T[None]
        return numpy_helper.from_array(np.ascontiguousarray(turned), name)

    bias = reorder_gates(case.bias, ("i", "f", "g", "o"), order=order)
    both = np.concatenate([bias, np.zeros_like(bias)])[None]
    node = helper.make_node("LSTM", ["X", "W", "R", "B"], ["Y"], hidden_size=units)
    graph = helper.make_graph(
        [node],
        "lstm",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, None, features])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)],
        [stored(case.kernel, "W"), stored(case.recurrent, "R"),
         numpy_helper.from_array(both, "B")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = case.threads, 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    x = case.x_time_major

    def states(made: Any) -> dict[str, Array]:
        return {"m": made[0][:, 0].swapaxes(0, 1)}  # (timestep, direction, sequence, unit)

    return Ready(lambda: session.run(None, {"X": x}), states)


def _torch_module(case: Case, kind: str) -> tuple[Any, Any, Any]:
    """torch, a module with the case's weights, and the input.

    Weights transposed, gates i, f, g, o; two biases, summed inside.
    """
    import torch

    torch.set_num_threads(case.threads)
    _, _, features, units = case.shape
    module = getattr(torch.nn, kind)(features, units)
    ending = "_l0" if kind == "LSTM" else ""
    values = {
        "weight_ih": case.kernel.T,
        "weight_hh": case.recurrent.T,
        "bias_ih": case.bias,
        "bias_hh": np.zeros_like(case.bias),
    }
    module.load_state_dict(
        {name + ending: torch.tensor(np.ascontiguousarray(v)) for name, v in values.items()}
    )
    return torch, module, torch.tensor(case.x_time_major)


def _torch_lstm(case: Case) -> Ready:
    torch, module, x = _torch_module(case, "LSTM")

    def run() -> Any:
        with torch.inference_mode():
            return module(x)[0]

    return Ready(run, lambda made: {"m": made.numpy().swapaxes(0, 1)})


def _torch_cell(case: Case) -> Ready:
    torch, cell, x = _torch_module(case, "LSTMCell")
    batch, time, _, units = case.shape
    all_c, all_m = torch.empty(time, batch, units), torch.empty(time, batch, units)

    def run() -> Any:
        with torch.inference_mode():
            m = c = torch.zeros(batch, units)
            for step in range(time):
                m, c = cell(x[step], (m, c))
                all_c[step] = c
                all_m[step] = m
        return all_c, all_m

    return Ready(run, _turned_back)


def _tensorflow(case: Case) -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(case.threads)
    tf.config.threading.set_inter_op_parallelism_threads(case.threads)
    return tf


def _block_lstm(case: Case) -> Ready:
    """One kernel for [x; m]; gates i, c (our g), f, o in V1, and i, f, c, o in this V2."""
    tf = _tensorflow(case)
    batch, time, _, units = case.shape
    kernel = tf.constant(np.concatenate([case.kernel, case.recurrent]))
    bias, x = tf.constant(case.bias), tf.constant(case.x_time_major)
    zeros, none = tf.zeros([batch, units]), tf.zeros([units])

    def run() -> Any:
        made = tf.raw_ops.BlockLSTMV2(
            seq_len_max=tf.constant(time, tf.int64), x=x, cs_prev=zeros, h_prev=zeros, w=kernel,
            wci=none, wcf=none, wco=none, b=bias, cell_clip=0.0, use_peephole=False,
        )  # fmt: skip
        return made.cs, made.h

    return Ready(run, _turned_back)


def _while_loop(case: Case) -> Ready:
    """What dynamic_rnn builds: a while loop, TensorArrays, one product with [x, m] a step."""
    tf = _tensorflow(case)
    batch, time, _, units = case.shape
    kernel = tf.constant(np.concatenate([case.kernel, case.recurrent]))
    bias, given = tf.constant(case.bias), tf.constant(case.x_time_major)

    @tf.function  # type: ignore[untyped-decorator]
    def loop(x: Any) -> Any:
        read = tf.TensorArray(tf.float32, time).unstack(x)
        zeros = tf.zeros([batch, units])

        def step(at: Any, c: Any, m: Any, all_c: Any, all_m: Any) -> Any:
            z = tf.matmul(tf.concat([read.read(at), m], 1), kernel) + bias
            i, f, g, o = tf.split(z, 4, axis=1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            m = tf.sigmoid(o) * tf.tanh(c)
            return at + 1, c, m, all_c.write(at, c), all_m.write(at, m)

        kept = [tf.TensorArray(tf.float32, time) for _ in range(2)]
        made = tf.while_loop(lambda at, *_: at < time, step, (0, zeros, zeros, *kept))
        return made[3].stack(), made[4].stack()

    return Ready(lambda: loop(given), _turned_back)


def _keras_rnn(case: Case) -> Ready:
    """RNN of a cell that returns its state beside its output: the answer people are given."""
    tf = _tensorflow(case)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    units = case.shape[3]

    class Telling(keras.layers.LSTMCell):  # type: ignore[misc]
        """An LSTMCell whose output is [c, m]."""

        def call(self, inputs: Any, states: Any, training: Any = None) -> Any:
            _, new = super().call(inputs, states, training=training)
            m, c = new
            return keras.ops.concatenate([c, m], axis=-1), new

    cell = Telling(units)
    layer = keras.layers.RNN(cell, return_sequences=True)
    layer.build((None, *case.x.shape[1:]))
    layer.set_weights([case.kernel, case.recurrent, case.bias])
    compiled, x = tf.function(layer), tf.constant(case.x)

    def states(made: Any) -> dict[str, Array]:
        both = made.numpy()
        return {"c": both[..., :units], "m": both[..., units:]}

    return Ready(lambda: compiled(x), states)


def _turned_back(made: Any) -> dict[str, Array]:
    c, m = (array.numpy().swapaxes(0, 1) for array in made)
    return {"c": c, "m": m}


@dataclass(frozen=True)
class Peer:
    """One way to run an LSTM.

    Attributes
    ----------
    make : callable
    gives_c : bool
        Whether it keeps every c.
    ours : bool
        Whether it is rnnscope's.
    narrow : bool
        Whether it is kept from vectors wider than AVX2's.
    """

    make: Callable[[Case], Ready]
    gives_c: bool
    ours: bool = False
    narrow: bool = False


PEERS = {
    "rnnscope, numpy": Peer(partial(_rnnscope, "numpy"), gives_c=True, ours=True),
    "rnnscope, compiled": Peer(_compiled, gives_c=True, ours=True),
    "rnnscope, as on AVX2": Peer(
        partial(_as_on_avx2, hold_rnnscope, _compiled), gives_c=True, ours=True, narrow=True
    ),
    "ONNX Runtime LSTM, as on AVX2": Peer(
        partial(_as_on_avx2, hold_onnxruntime, _onnxruntime), gives_c=False, narrow=True
    ),
    "torch LSTM, as on AVX2": Peer(
        partial(_as_on_avx2, hold_torch, _torch_lstm), gives_c=False, narrow=True
    ),
    "ONNX Runtime LSTM": Peer(_onnxruntime, gives_c=False),
    "torch LSTM": Peer(_torch_lstm, gives_c=False),
    "torch LSTMCell loop": Peer(_torch_cell, gives_c=True),
    "TF BlockLSTMV2": Peer(_block_lstm, gives_c=True),
    "TF while loop": Peer(_while_loop, gives_c=True),
    "Keras RNN, telling cell": Peer(_keras_rnn, gives_c=True),
}
"""By the name that tables show."""
