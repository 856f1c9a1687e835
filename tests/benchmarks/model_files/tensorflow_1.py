"""What TensorFlow 1 saved: checkpoints, frozen graphs, bundles, graphs of TensorFlow.js."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from model_files.interface import UNITS, WIDTH, Write, Written


@contextmanager
def _session(layers: int, rows: int) -> Iterator[Any]:
    """Loops of BasicLSTMCell, as ``dynamic_rnn`` builds them, one above the other."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        v1.disable_control_flow_v2()
        x = v1.placeholder(tf.float32, [None, None, UNITS], name="x")
        turned = v1.transpose(x, [1, 0, 2])
        for number in range(layers):
            turned = _layer(v1, turned, f"rnn_{number}")
        outputs = [tf.identity(v1.transpose(turned, [1, 0, 2]), name="outputs")]
        if rows:
            ids = v1.placeholder(tf.int32, [None, None], name="ids")
            table = v1.get_variable("table", [rows, WIDTH])
            outputs.append(tf.identity(v1.nn.embedding_lookup(table, ids), name="looked_up"))
        session.run(v1.global_variables_initializer())
        yield session, outputs
    v1.reset_default_graph()


def _layer(v1: Any, turned: Any, scope: str) -> Any:
    with v1.variable_scope(scope):
        with v1.variable_scope("lstm_cell"):
            kernel = v1.get_variable("kernel", [2 * UNITS, 4 * UNITS])
            bias = v1.get_variable("bias", [4 * UNITS])
        steps = v1.shape(turned)[0]
        inputs = v1.TensorArray(v1.float32, steps).unstack(turned)

        def body(step: Any, c: Any, m: Any, written: Any) -> Any:
            here = inputs.read(step)
            here.set_shape([None, UNITS])
            z = v1.nn.bias_add(v1.matmul(v1.concat([here, m], 1), kernel), bias)
            i, j, f, o = v1.split(z, 4, axis=1)
            c = v1.sigmoid(f + 1.0) * c + v1.sigmoid(i) * v1.tanh(j)
            m = v1.sigmoid(o) * v1.tanh(c)
            return step + 1, c, m, written.write(step, m)

        zeros = v1.zeros([v1.shape(turned)[1], UNITS])
        start = (0, zeros, zeros, v1.TensorArray(v1.float32, steps))
        *_, written = v1.while_loop(lambda step, *_: step < steps, body, start)
        made = written.stack()
        made.set_shape([None, None, UNITS])
        return made


def saver(path: Path, layers: int, rows: int) -> Written:
    """Checkpoint and graph of a Saver."""
    import tensorflow as tf

    with _session(layers, rows) as (session, _):
        tf.compat.v1.train.Saver().save(session, str(path), write_state=False)
    return Written(path)


def saver_v1(path: Path, layers: int, rows: int) -> Written:
    """Checkpoint and graph of a Saver before TensorFlow 0.12: one table, compressed."""
    import tensorflow as tf

    train = tf.compat.v1.train
    with _session(layers, rows) as (session, _):
        train.Saver(write_version=train.SaverDef.V1).save(session, str(path), write_state=False)
    return Written(path)


def session_bundle(path: Path, layers: int, rows: int) -> Written:
    """A folder with a Saver's files, as TensorFlow Serving had it."""
    import tensorflow as tf

    path.mkdir()
    train = tf.compat.v1.train
    with _session(layers, rows) as (session, _):
        saving = train.Saver(write_version=train.SaverDef.V1, sharded=True)
        saving.save(session, str(path / "export"), write_state=False)
    return Written(path)


def _frozen(layers: int, rows: int) -> Any:
    import tensorflow as tf

    with _session(layers, rows) as (session, outputs):
        names = [one.op.name for one in outputs]
        return tf.compat.v1.graph_util.convert_variables_to_constants(
            session, session.graph.as_graph_def(), names
        )


def frozen(path: Path, layers: int, rows: int) -> Written:
    """A graph whose variables are constants."""
    path = path.with_suffix(".pb")
    path.write_bytes(_frozen(layers, rows).SerializeToString())
    return Written(path)


def tfjs_graph(path: Path, layers: int, rows: int, eight_bits: bool = False) -> Written:
    """The frozen graph as TensorFlow.js keeps one: its constants in shards of 4 MiB.

    A table of 8 bits has four times the rows, so that it has as many bytes.
    """
    from google.protobuf import json_format
    from tensorflow import make_ndarray

    path.mkdir()
    graph = _frozen(layers, rows)
    entries, parts = [], []
    kinds = {"float32": "float32", "int32": "int32", "bool": "bool"}
    for node in graph.node:
        if node.op == "Const":
            array = make_ndarray(node.attr["value"].tensor)
            if array.dtype.name in kinds:
                entries.append({"name": node.name, "shape": list(array.shape),
                                "dtype": kinds[array.dtype.name]})  # fmt: skip
                if eight_bits and node.name == "table":
                    array = np.random.default_rng(0).integers(0, 256, (4 * rows, WIDTH), np.uint8)
                    entries[-1]["shape"] = list(array.shape)
                    entries[-1]["quantization"] = {"dtype": "uint8", "scale": 0.1, "min": -2.5}
                parts.append(array.tobytes())
                node.attr["value"].tensor.ClearField("tensor_content")
                node.attr["value"].tensor.ClearField("float_val")
    data, names = b"".join(parts), []
    for number, start in enumerate(range(0, len(data), 4 << 20)):
        names.append(f"group1-shard{number}.bin")
        (path / names[-1]).write_bytes(data[start : start + (4 << 20)])
    whole = {"format": "graph-model", "modelTopology": json_format.MessageToDict(graph),
             "weightsManifest": [{"paths": names, "weights": entries}]}  # fmt: skip
    (path / "model.json").write_text(json.dumps(whole))
    return Written(path / "model.json")


WRITERS: dict[str, Write] = {
    "TensorFlow 1 Saver": saver, "TensorFlow 1 Saver V1": saver_v1,
    "SessionBundle": session_bundle, "frozen graph": frozen, "TensorFlow.js graph": tfjs_graph,
    "TensorFlow.js graph, uint8": partial(tfjs_graph, eight_bits=True),
}  # fmt: skip
