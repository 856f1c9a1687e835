"""TensorFlow 1 models made on the spot, by TensorFlow itself, for the tests of every room.

TensorFlow still has `dynamic_rnn` and its kin; only its cells are gone. `Cell` repeats their
equations in the ops that they used, so that the graphs are those of real files.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
from hypothesis import settings
from one_process import no_thread_goes_on, pytest_runtest_setup  # noqa: F401 - pytest finds them

# A deadline would fail tests on a machine that is busy with others.
settings.register_profile("rnnscope", deadline=None)
settings.load_profile("rnnscope")


SLOW_WEIGHS = 25
"""How many ordinary tests a slow one takes as long as."""


def pytest_collection_modifyitems(items):
    """Files that take long come first, so that no process is left with one of them at the end."""
    weights = Counter()
    for item in items:
        weights[item.path] += SLOW_WEIGHS if item.get_closest_marker("slow") else 1
    items.sort(key=lambda item: -weights[item.path])


@pytest.fixture(scope="session", autouse=True)
def _own_cache_folder(tmp_path_factory):
    """Code compiled by tests, and by commands that they start, is not kept among the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


class LSTMStateTuple(NamedTuple):
    """TensorFlow's own: c first."""

    c: Any
    h: Any


@pytest.fixture(scope="session")
def tf():
    """TensorFlow, imported once for the whole session."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tensorflow = pytest.importorskip("tensorflow")
    tensorflow.compat.v1.logging.set_verbosity(tensorflow.compat.v1.logging.ERROR)
    return tensorflow


class Cell:
    """An LSTM cell of TensorFlow 1, after `LSTMCell.call` of its rnn_cell_impl.py."""

    def __init__(
        self,
        tf,
        units,
        *,
        forget_bias=1.0,
        activation=None,
        peepholes=False,
        cell_clip=None,
        proj=None,
        proj_clip=None,
        concat_state=False,
        scope="lstm_cell",
        block=False,
        block_attrs=None,
        seed=1,
    ):
        self.tf, self.units, self.scope, self.seed = tf, units, scope, seed
        self.forget_bias, self.activation = forget_bias, activation or tf.tanh
        self.peepholes, self.cell_clip = peepholes, cell_clip
        self.proj, self.proj_clip, self.concat_state = proj, proj_clip, concat_state
        self.block, self.block_attrs = block, block_attrs or {}

    @property
    def output_size(self):
        return self.proj or self.units

    @property
    def state_size(self):
        if self.concat_state:
            return self.units + self.output_size
        return LSTMStateTuple(self.units, self.output_size)

    def zero_state(self, batch, dtype):
        tf = self.tf
        if self.concat_state:
            return tf.zeros([batch, self.state_size], dtype)
        return LSTMStateTuple(*(tf.zeros([batch, width], dtype) for width in self.state_size))

    def get_initial_state(self, inputs=None, batch_size=None, dtype=None):
        return self.zero_state(batch_size, dtype)

    def variable(self, name, shape, dtype):
        # Far from zero and different everywhere, so that a swapped gate cannot hide.
        tf, v1 = self.tf, self.tf.compat.v1
        initializer = v1.random_normal_initializer(stddev=0.6, seed=self.seed + len(name))
        return v1.get_variable(name, shape, tf.as_dtype(dtype), initializer=initializer)

    def clip(self, value, bound):
        return value if bound is None else self.tf.clip_by_value(value, -bound, bound)

    def __call__(self, x, state, scope=None):
        tf = self.tf
        with tf.compat.v1.variable_scope(self.scope):
            c, m = tf.split(state, 2, axis=1) if self.concat_state else state
            kernel = self.variable(
                "kernel", [x.shape[1] + self.output_size, 4 * self.units], x.dtype
            )
            bias = self.variable("bias", [4 * self.units], x.dtype)
            diagonals = {}
            if self.peepholes:
                for gate in "ifo":
                    diagonals[gate] = self.variable(f"w_{gate}_diag", [self.units], x.dtype)
            step = self._fused if self.block else self._step
            c, m = step(x, c, m, kernel, bias, diagonals)
        return m, tf.concat([c, m], 1) if self.concat_state else LSTMStateTuple(c, m)

    def _step(self, x, c_prev, m_prev, kernel, bias, diagonals):
        tf = self.tf
        z = tf.nn.bias_add(tf.matmul(tf.concat([x, m_prev], 1), kernel), bias)
        i, j, f, o = tf.split(z, 4, axis=1)
        f = f + self.forget_bias
        if diagonals:
            i, f = i + diagonals["i"] * c_prev, f + diagonals["f"] * c_prev
        c = tf.sigmoid(f) * c_prev + tf.sigmoid(i) * self.activation(j)
        c = self.clip(c, self.cell_clip)
        if diagonals:
            o = o + diagonals["o"] * c
        m = tf.sigmoid(o) * self.activation(c)
        if self.proj:
            with tf.compat.v1.variable_scope("projection"):
                projection = self.variable("kernel", [self.units, self.proj], x.dtype)
            m = self.clip(tf.matmul(m, projection), self.proj_clip)
        return c, m

    def _fused(self, x, c_prev, m_prev, kernel, bias, diagonals):
        none = self.tf.zeros([self.units], x.dtype)
        out = self.tf.raw_ops.LSTMBlockCell(
            x=x,
            cs_prev=c_prev,
            h_prev=m_prev,
            w=kernel,
            wci=diagonals.get("i", none),
            wcf=diagonals.get("f", none),
            wco=diagonals.get("o", none),
            b=bias,
            forget_bias=self.forget_bias,
            cell_clip=-1.0 if self.cell_clip is None else self.cell_clip,
            use_peephole=bool(diagonals),
            **self.block_attrs,
        )
        return out.cs, out.h


class Stack:
    """MultiRNNCell: each cell's output is the next one's input."""

    def __init__(self, tf, cells, scope="multi_rnn_cell"):
        self.tf, self.cells, self.scope = tf, cells, scope

    @property
    def output_size(self):
        return self.cells[-1].output_size

    @property
    def state_size(self):
        return tuple(cell.state_size for cell in self.cells)

    def zero_state(self, batch, dtype):
        return tuple(cell.zero_state(batch, dtype) for cell in self.cells)

    def get_initial_state(self, inputs=None, batch_size=None, dtype=None):
        return self.zero_state(batch_size, dtype)

    def __call__(self, x, state, scope=None):
        after = []
        with self.tf.compat.v1.variable_scope(self.scope):
            for number, (cell, before) in enumerate(zip(self.cells, state, strict=True)):
                with self.tf.compat.v1.variable_scope(f"cell_{number}"):
                    x, new = cell(x, before)
                after.append(new)
        return x, tuple(after)


class Wrapped:
    """A cell that has something done to its input or output, as DropoutWrapper and its kin."""

    def __init__(self, cell, *, before=lambda x: x, after=lambda output, state: output, width=None):
        self.cell, self.before, self.after, self.width = cell, before, after, width
        self.state_size, self.zero_state = cell.state_size, cell.zero_state
        self.get_initial_state = cell.get_initial_state

    @property
    def output_size(self):
        return self.width or self.cell.output_size

    def __call__(self, x, state, scope=None):
        output, state = self.cell(self.before(x), state)
        return self.after(output, state), state


class TF1:
    """Makes TensorFlow 1 models in graphs of their own, and asks TensorFlow for the truth."""

    def __init__(self, tf, folder):
        self.tf, self.v1, self.folder = tf, tf.compat.v1, Path(folder)

    def cell(self, units, **options):
        return Cell(self.tf, units, **options)

    def stack(self, *cells):
        return Stack(self.tf, cells)

    def wrapped(self, cell, **ways):
        return Wrapped(cell, **ways)

    def state(self, c, m):
        return LSTMStateTuple(c, m)

    def telling(self, cell):
        """The cell with its whole new state beside its output: how to get c at every step."""
        flat = self.tf.nest.flatten(cell.state_size)
        return Wrapped(
            cell,
            after=lambda output, state: self.tf.concat([output, *self.tf.nest.flatten(state)], 1),
            width=cell.output_size + sum(flat),
        )

    def placeholder(self, timesteps=6, features=3, dtype="float32"):
        return self.v1.placeholder(dtype, [None, timesteps, features], "x")

    def lengths(self):
        return self.v1.placeholder("int32", [None], "lengths")

    def save(self, build, feed=None, *, name="model.ckpt", var_list=None):
        """Build a graph, initialise and save it; the prefix, and what `build` returned, run."""
        prefix = self.folder / name
        with self.tf.Graph().as_default(), self.v1.Session() as session:
            fetches = build()
            session.run(self.v1.global_variables_initializer())
            saver = self.v1.train.Saver(var_list() if var_list else None)
            saver.save(session, str(prefix))
            found = session.run(fetches, self._feed(feed)) if feed else None
        return prefix, found

    def truth(self, build, prefix, feed, var_list=None):
        """Build another graph over the saved variables, and run it."""
        with self.tf.Graph().as_default(), self.v1.Session() as session:
            fetches = build()
            self.v1.train.Saver(var_list() if var_list else None).restore(session, str(prefix))
            return session.run(fetches, self._feed(feed))

    @staticmethod
    def _feed(feed):
        return {f"{name}:0": value for name, value in feed.items()}


@pytest.fixture(scope="session")
def tf1_at(tf):
    """`tf1_at(folder)`: a `TF1` that saves there."""
    return lambda folder: TF1(tf, folder)


@pytest.fixture
def tf1(tf1_at, tmp_path):
    return tf1_at(tmp_path)


@pytest.fixture(params=[False, True], ids=["control flow v1", "control flow v2"])
def control_flow(request, tf):
    """Loops as Enter, Merge and NextIteration, or as While with a function for a body."""
    v1 = tf.compat.v1
    was = v1.control_flow_v2_enabled()
    (v1.enable_control_flow_v2 if request.param else v1.disable_control_flow_v2)()
    yield request.param
    (v1.enable_control_flow_v2 if was else v1.disable_control_flow_v2)()


X = np.random.default_rng(11).normal(size=(3, 6, 3)).astype(np.float32)
LENGTHS = np.array([6, 4, 2], np.int32)


@pytest.fixture(scope="session")
def small(tf1_at, tmp_path_factory):
    """One small checkpoint for all tests that only look at it, its input and its outputs.

    ``prefix``, ``x`` (3, 6, 3), ``lengths``, ``inputs`` (an .npz of both), ``outputs``,
    ``final_c``, ``final_m``; the layer is ``rnn/lstm_cell``, its forget bias 0.7.
    """
    folder = tmp_path_factory.mktemp("small")
    tf1 = tf1_at(folder)

    def build():
        cell = tf1.cell(4, forget_bias=0.7)
        return tf1.v1.nn.dynamic_rnn(cell, tf1.placeholder(), tf1.lengths(), dtype="float32")

    prefix, (outputs, final) = tf1.save(build, {"x": X, "lengths": LENGTHS})
    inputs = folder / "inputs.npz"
    np.savez(inputs, x=X, lengths=LENGTHS)
    return SimpleNamespace(
        prefix=prefix,
        layer="rnn/lstm_cell",
        x=X,
        lengths=LENGTHS,
        inputs=inputs,
        outputs=outputs,
        final_c=final.c,
        final_m=final.h,
    )


@pytest.fixture(scope="session")
def two_layers(tf1_at, tmp_path_factory):
    """A stack of two cells in one checkpoint; layers ``…/cell_0/lstm_cell``, ``…/cell_1/…``."""
    tf1 = tf1_at(tmp_path_factory.mktemp("two"))

    def build():
        stack = tf1.stack(tf1.cell(4), tf1.cell(5, forget_bias=0.5))
        return tf1.v1.nn.dynamic_rnn(stack, tf1.placeholder(), dtype="float32")

    prefix, (outputs, _) = tf1.save(build, {"x": X})
    layers = [f"rnn/multi_rnn_cell/cell_{number}/lstm_cell" for number in (0, 1)]
    return SimpleNamespace(prefix=prefix, x=X, outputs=outputs, layers=layers)


@pytest.fixture
def read_trace():
    """`read_trace(path)`: every dataset of a trace by its full name, without the first slash."""

    def read(path):
        found = {}

        def visit(group):
            # Not visititems(), which shows an array of two names (outputs that are m) once.
            for item in group.values():
                if isinstance(item, h5py.Group):
                    visit(item)
                else:
                    found[item.name.removeprefix("/")] = item[...]

        with h5py.File(path) as file:
            visit(file)
        return found

    return read


@pytest.fixture
def rnnscope(capfd):
    """`rnnscope(*arguments)`: run the command line here; exit code, stdout and stderr."""
    from rnnscope.cli.main import run

    def call(*arguments):
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        stdout, stderr = capfd.readouterr()
        return SimpleNamespace(code=code, stdout=stdout, stderr=stderr)

    return call
