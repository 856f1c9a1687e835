"""Builds a described model as a graph of TensorFlow 1.15."""

from __future__ import annotations

import copy

import tensorflow as tf
from cells import CELLS, build_cell, state_names
from fronts import BEHIND, FRONTS, first_state
from loops import LOOPS, Ran, dynamic, swapped
from wrappers import WRAPPERS

v1 = tf.compat.v1
core = tf.nn.rnn_cell
nest = tf.nest


class Model:
    """A model while it is built: what the loops ask it for.

    Attributes
    ----------
    desc, loop : dict
    recorder : Recorder
    x : tensor, or (time, x)
        What the loop reads, (sequence, timestep, feature).
    lengths : tensor or None
    dtype : tf.DType
    placeholders : dict
        {array of the inputs: placeholder}
    others : list of Ran
        Loops that only give a first state.
    """

    def __init__(self, desc, recorder):
        self.desc, self.recorder = desc, recorder
        self.loop = desc["loop"]
        self.dtype = tf.as_dtype(desc["dtype"])
        self.placeholders = {}
        self.others = []
        self.x = self.lengths = self.given = None

    def place(self, name, dtype, *shape):
        """A placeholder of this name; the first axis may be of any length."""
        batch = self.desc["sequences"] if self.desc["static_batch"] else None
        self.placeholders[name] = v1.placeholder(dtype, [batch, *shape], name)
        return self.placeholders[name]

    def build(self):
        """The whole graph: loops that ran, and what stands behind the last of them."""
        desc = self.desc
        steps = desc["steps"] if desc["static_steps"] else None
        front = FRONTS[desc["front"]]
        read = front.input
        if any(one["kind"] == "Embedding" for layer in desc["layers"] for one in layer["wrappers"]):
            read = "step_ids"
        if read in ("ids", "step_ids"):
            source = x = self.place("ids", tf.int32, steps)
            x = x if read == "ids" else tf.expand_dims(x, 2)
        else:
            kind = {"float": self.dtype, "double": tf.float64, "int": tf.int32}[read]
            name = (
                "encoder_x" if self.loop["kind"].endswith(("encoder_decoder", "seq2seq")) else "x"
            )
            if desc["time_major_input"]:
                shape = [
                    steps,
                    desc["sequences"] if desc["static_batch"] else None,
                    desc["features"],
                ]
                self.placeholders[name] = self.given = v1.placeholder(kind, shape, name)
                source = x = swapped(self.given)
            else:
                source = x = self.place(name, kind, steps, desc["features"])
        lengths = self._lengths(source)
        x, self.lengths = front.apply(x, lengths)
        self.x = self._shaped(x)
        ran = LOOPS[self.loop["kind"]].run(self)
        behind = BEHIND[desc["behind"]](self._flat(ran[-1].outputs), x)
        if len(ran) > 1 and ran[0].prefix == "fw_":
            both = tf.concat([self._flat(part.outputs) for part in ran[-2:]], 2, name="both")
            behind = BEHIND[desc["behind"]](both, x)
        return self.others + ran, tf.identity(behind, "result")

    def _flat(self, outputs):
        if outputs.shape.ndims == 3:
            return outputs
        shape = tf.shape(outputs)
        width = 1
        for size in outputs.shape[2:].as_list():
            width *= size
        return tf.reshape(outputs, [shape[0], shape[1], width])

    def _shaped(self, x):
        kinds = [layer["kind"] for layer in self.desc["layers"]]
        if "Conv1DLSTM" in kinds:
            shape = tf.shape(x)
            return tf.reshape(x, [shape[0], shape[1], 2, 2])
        if "Phased" in kinds:
            return self.place("time", self.dtype, None, 1), x
        return x

    def _lengths(self, x):
        kind = self.desc["lengths"]
        if kind == "placeholder":
            return self.place("lengths", tf.int32)
        if kind == "constant":
            return tf.constant(self.desc["length_values"], tf.int32)
        if kind == "computed":
            if x.shape.ndims != 3:
                raise ValueError("lengths of ids")
            there = tf.sign(tf.reduce_max(tf.abs(x), axis=2))
            return tf.cast(tf.reduce_sum(there, axis=1), tf.int32)
        return None

    def floats(self):
        """The input as one tensor of the cell's dtype."""
        x = nest.flatten(self.x)[-1]
        return x if x.dtype == self.dtype else tf.cast(x, self.dtype)

    def time_major_x(self):
        """The input as (timestep, sequence, feature); the placeholder, if it is fed like that."""
        return nest.map_structure(swapped, self.x) if self.given is None else self.given

    def steps(self):
        """The input as a list of steps."""
        return tf.unstack(self.x, axis=1)

    def cell(self, tag):
        """A new cell or stack of cells as described; its steps are noted under ``tag``."""
        layers, stack = self.desc["layers"], self.desc["stack"]
        features = nest.flatten(self.x)[-1].shape[-1].value
        cells = []
        for at, layer in enumerate(layers):
            if stack == "shared" and at:
                cells.append(cells[0])
                continue
            cell = build_cell(layer, features)
            for spec in layer["wrappers"]:
                cell = self._wrapped(cell, spec, features)
            cells.append(cell)
            features = cell.output_size
        if stack == "nested":
            cells = [cells[0], core.MultiRNNCell(cells[1:])]
        whole = cells[0] if stack == "single" else core.MultiRNNCell(cells)
        for spec in self.desc["outer"]:
            whole = self._wrapped(whole, spec, features)
        return whole if tag is None else self.recorder.watch(whole, tag)

    def _wrapped(self, cell, spec, features):
        return WRAPPERS[spec["kind"]].build(cell, {**spec, "dtype": self.desc["dtype"]}, features)

    def start(self, cell):
        """The state that a loop starts from, or None."""
        kind = self.desc["start"]
        if kind == "final_of_other":
            with_other = self.with_scope("other")
            tag = f"other{len(self.others)}"
            (other,) = dynamic(with_other.without_start(), tag, tag + "_")
            self.others.append(other)
            return other.final
        names = [name for layer in self.layout() for name in layer]
        return first_state(kind, cell, self.floats(), names, self.placeholders)

    def with_scope(self, scope):
        """The same model with another scope of its loop."""
        other = copy.copy(self)
        other.loop = {**self.loop, "scope": scope}
        return other

    def without_start(self):
        other = copy.copy(self)
        other.desc = {**self.desc, "start": "implicit"}
        return other

    def over(self, x):
        """The same model over another x."""
        other = copy.copy(self)
        other.x = x
        return other

    def decoder_x(self):
        """A second input, for a decoder."""
        return self.place("decoder_x", self.dtype, self.desc["steps"], self.x.shape[-1].value)

    def layout(self):
        """Names of the flat state: a list for each layer."""
        made = []
        for layer in self.desc["layers"]:
            names = list(state_names(layer))
            for spec in layer["wrappers"]:
                names += WRAPPERS[spec["kind"]].states
            made.append(names)
        for spec in self.desc["outer"]:
            made[-1] += WRAPPERS[spec["kind"]].states
        return made


__all__ = ["CELLS", "Model", "Ran"]
