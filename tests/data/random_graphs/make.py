"""Makes random_graphs.tar.xz: models drawn at random, and TensorFlow's own states of them.

    python3.7 -m venv venv
    venv/bin/pip install tensorflow==1.15.5 'protobuf==3.20.*' 'numpy<1.20'
    venv/bin/python tests/data/random_graphs/make.py [--count 330] [--only GLOB] [--unpacked DIR]

Everything follows from the seed. A description that TensorFlow itself refuses is drawn anew.

A case is a folder: the saved model exactly as a user would save it; `inputs.npz`, what its
placeholders were fed, and `truth.npz`, what the loop's own variables held after every step (``c``,
``m``, ``final_c``, with ``l0_``, ``fw_``, ``enc_`` before them; states without such a name are
``state_0`` …) with ``outputs``, what the framework's loop returned; `meta.json`, the whole
description and what a user has to say (``flags``).
"""

# ruff: noqa: T201  # a script that says what it made
from __future__ import annotations

import argparse
import fnmatch
import io
import json
import lzma
import os
import shutil
import sys
import tarfile
import tempfile
import traceback
import zlib
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import tensorflow as tf
from building import Model
from drawing import AXES, draw, plan, refusal_is_as_good
from fronts import FRONTS
from recording import Recorder, in_input_order, states_after_each_step

v1 = tf.compat.v1
v1.logging.set_verbosity("FATAL")
nest = tf.nest

HERE = Path(__file__).parent
SEED = 12
COUNT = 340
ATTEMPTS = 12
ARCHIVE = HERE / "random_graphs.tar.xz"


def session(graph):
    config = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    return v1.Session(graph=graph, config=config)


def seeded(desc, name):
    return np.random.RandomState(zlib.crc32((desc["seed"] + name).encode()) & 0xFFFFFFFF)


def draw_arrays(desc, placeholders):
    """What the placeholders are fed, by name."""
    random = seeded(desc, "inputs")
    count, steps = desc["sequences"], desc["steps"]
    lengths = np.array(desc["length_values"], np.int32)
    arrays = {}
    for name, tensor in sorted(placeholders.items()):
        if name == "lengths":
            arrays[name] = lengths
            continue
        width = tensor.shape.as_list()[1:]
        shape = [count, *width] if name.startswith("initial_") else [count, steps, *width[1:]]
        if name == "ids":
            values = random.randint(0, 7, shape)
        elif name == "time":
            values = np.cumsum(random.uniform(0.2, 1.5, shape), axis=1)
        elif tensor.dtype.is_integer:
            values = random.randint(-3, 4, shape)
        else:
            values = np.round(random.normal(size=shape) * 256) / 256
        if desc["lengths"] == "computed" and name in ("x", "encoder_x"):
            values = values + (values == 0)  # an all-zero step would be padding
            values = values * (np.arange(steps) < lengths[:, None])[:, :, None]
        arrays[name] = values.astype(tensor.dtype.as_numpy_dtype)
    return arrays


def fed(model, arrays):
    """{placeholder: values}, with time first where the placeholder has it so."""
    return {
        tensor: arrays[name].swapaxes(0, 1) if tensor is model.given else arrays[name]
        for name, tensor in model.placeholders.items()
    }


def draw_lengths(desc):
    """Lengths of the sequences, whether anything uses them or not."""
    random = seeded(desc, "lengths")
    lengths = random.randint(1, desc["steps"] + 1, desc["sequences"])
    if desc["full_length"]:
        lengths[random.randint(desc["sequences"])] = desc["steps"]
    return [int(value) for value in lengths]


def draw_weight(desc, variable):
    """A random value for a variable, by its name; None leaves it as it starts."""
    name = variable.op.name
    random = seeded(desc, name)
    values = random.normal(scale=desc["spread"], size=variable.shape.as_list())
    last = name.rsplit("/", 1)[-1]
    if last in ("global_step", "beta1_power", "beta2_power"):
        return None
    if last == "moving_variance":
        values = np.abs(values) + 0.3
    if last == "period":
        values = random.uniform(1.0, 4.0, values.shape)
    if last == "ratio":
        values = random.uniform(0.2, 0.6, values.shape)
    # Few digits are enough to tell weights apart, and they pack well.
    return (np.round(values * 256) / 256).astype(variable.dtype.as_numpy_dtype)


def load_weights(desc, running):
    for variable in v1.global_variables():
        value = draw_weight(desc, variable)
        running.run(
            variable.initializer, None if value is None else {variable.initial_value: value}
        )


def build(desc, recorder):
    """The graph of a description, within its scope."""
    model = Model(desc, recorder)
    if desc["scope"]:
        with v1.variable_scope(desc["scope"]):
            ran, result = model.build()
    else:
        ran, result = model.build()
    return model, ran, result


def add_training(result):
    """What a graph for training holds beside the model."""
    step = v1.train.get_or_create_global_step()
    loss = tf.reduce_mean(tf.square(result))
    v1.train.AdamOptimizer(1e-3).minimize(loss, global_step=step)


def fetched(ran):
    """Everything that TensorFlow returned, to be run at once."""
    return [
        {
            "final": nest.flatten(one.final),
            **({} if one.outputs is None else {"outputs": one.outputs}),
            **({} if one.states is None else {"states": list(one.states)}),
        }
        for one in ran
    ]


def save(desc, folder, running, model, ran, result):
    """The model as a user saves it; returns the name of what is read."""
    if desc["form"] == "frozen":
        wanted = [result] + [
            tensor for one in ran for tensor in [*nest.flatten(one.final), one.outputs]
            if tensor is not None
        ]  # fmt: skip
        names = sorted({tensor.op.name for tensor in wanted})
        frozen = v1.graph_util.convert_variables_to_constants(
            running, running.graph.as_graph_def(), names
        )
        (folder / "frozen.pb").write_bytes(frozen.SerializeToString())
        return "frozen.pb"
    if desc["form"] == "saved_model":
        builder = v1.saved_model.builder.SavedModelBuilder(str(folder / "saved_model"))
        signature = v1.saved_model.signature_def_utils.predict_signature_def(
            dict(model.placeholders), {"result": result}
        )
        builder.add_meta_graph_and_variables(
            running, ["serve"], {"serving_default": signature},
            clear_devices=desc["clear_devices"], strip_default_attrs=desc["strip"],
        )  # fmt: skip
        builder.save()
        return "saved_model"
    saver = v1.train.Saver()
    path = str(folder / "model.ckpt")
    saver.save(running, path, write_meta_graph=False, write_state=False)
    saver.export_meta_graph(
        path + ".meta", clear_devices=desc["clear_devices"], strip_default_attrs=desc["strip"]
    )
    return "model.ckpt"


def with_control_flow(desc):
    if desc["loop"].get("v2"):
        v1.enable_control_flow_v2()
    else:
        v1.disable_control_flow_v2()


def make_case(desc, folder):
    """Writes one case; raises whatever TensorFlow raises."""
    desc["length_values"] = draw_lengths(desc)
    with_control_flow(desc)
    with tf.Graph().as_default() as graph, session(graph) as running:
        model, ran, result = build(desc, Recorder(active=False))
        if desc["train"]:
            add_training(result)
        load_weights(desc, running)
        arrays = draw_arrays(desc, model.placeholders)
        feed = fed(model, arrays)
        wanted = {"ran": fetched(ran), "x": nest.flatten(model.x)[-1]}
        if model.lengths is not None:
            wanted["lengths"] = model.lengths
        wanted["result"] = result
        returned = running.run(wanted, feed)
        target = save(desc, folder, running, model, ran, result)
        variables = sorted(variable.op.name for variable in v1.global_variables())
        names = {name: tensor.op.name for name, tensor in model.placeholders.items()}
    recorder = Recorder(active=True)
    with tf.Graph().as_default() as graph, session(graph) as running:
        model, ran, result = build(desc, recorder)
        if {v.op.name for v in v1.global_variables()} - set(variables):
            raise AssertionError("the graph with notes has other variables")
        load_weights(desc, running)
        feed = fed(model, arrays)
        again = running.run({"ran": fetched(ran), "result": result}, feed)
        truth = {}
        for one, mine, other in zip(ran, returned["ran"], again["ran"]):  # noqa: B905  # Python 3.7
            assert_same(mine, other)
            truth.update(truth_of(model, one, mine, recorder, returned.get("lengths")))
    if not all(np.all(np.isfinite(values)) for values in truth.values()):
        raise AssertionError("not finite")
    write(desc, folder, target, arrays, returned, truth, variables, names)


def assert_same(one, other):
    for left, right in zip(nest.flatten(one), nest.flatten(other)):  # noqa: B905  # Python 3.7
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


def truth_of(model, one, returned, recorder, lengths):
    """Arrays of one loop, by their names."""
    found = {}
    final = [np.asarray(part) for part in returned["final"]]
    if one.states is not None:
        count = returned["outputs"].shape[1]
        flat = [carried(part.swapaxes(0, 1), lengths) for part in returned["states"]]
    else:
        entered = recorder.entered(one.tag)
        count = steps_of(model, returned, entered)
        flat = states_after_each_step(entered, final, count)
    if one.backward:
        within = np.full(len(final[0]), count) if lengths is None else lengths
        flat = [None if part is None else in_input_order(part, within) for part in flat]
    layout = [list(names) for names in model.layout()]
    if any("state_" in str(name) for names in layout for name in names):
        layout = [spread(layout, len(flat))] if len(layout) == 1 else layout
    layout[-1] += list(one.extra)
    if sum(map(len, layout)) != len(flat):
        raise AssertionError(f"{layout} are not {len(flat)} states")
    at = 0
    for layer, names in enumerate(layout):
        prefix = one.prefix + (f"l{layer}_" if len(layout) > 1 else "")
        for name in names:
            keep(found, prefix, name, flat[at], final[at].reshape(len(final[at]), -1)
                 if final[at].ndim else None)  # fmt: skip
            at += 1
        if layer == len(layout) - 1 and "outputs" in returned:
            outputs = returned["outputs"]
            found[prefix + "outputs"] = outputs.reshape((*outputs.shape[:2], -1))
    return found


def spread(layout, count):
    """Names for as many states as there are; kinds of cells differ in how many they have."""
    own = [name for name in layout[0] if not str(name).startswith("state_")]
    return [f"state_{at}" for at in range(count - len(own))] + own


def steps_of(model, returned, entered):
    return returned["outputs"].shape[1] if "outputs" in returned else len(entered)


def carried(states, lengths):
    """States of an op that computes on past the length, held from there on."""
    if lengths is None:
        return states
    held = states.copy()
    for row, length in enumerate(lengths):
        held[row, length:] = held[row, length - 1] if length else 0
    return held


def keep(found, prefix, name, values, final):
    if values is None:
        return
    if isinstance(name, str):
        found[prefix + name] = values
        found[prefix + "final_" + name] = final
        return
    if sum(width for _, width in name) != values.shape[2]:
        raise AssertionError(f"{name} is not {values.shape[2]} wide")
    begin = 0
    for part, width in name:
        found[prefix + part] = values[:, :, begin : begin + width]
        found[prefix + "final_" + part] = final[:, begin : begin + width]
        begin += width


def write(desc, folder, target, arrays, returned, truth, variables, placeholders):
    """inputs.npz, truth.npz and meta.json."""
    inputs = dict(arrays)
    if desc["fed"] == "layer" and desc["front"] != "none":
        name = "ids" if "ids" in inputs else "x" if "x" in inputs else "encoder_x"
        inputs[name] = returned["x"]
        if "lengths" in inputs:
            inputs["lengths"] = returned["lengths"]
    np.savez(folder / "inputs.npz", **inputs)
    np.savez(folder / "truth.npz", **truth)
    meta = {
        "case": folder.name,
        "framework": "tensorflow",
        "version": tf.__version__,
        "targets": [target],
        "flags": ["--model-input"] if desc["model_input"] else [],
        "unsupported": refusal_is_as_good(desc),
        "placeholders": placeholders,
        "variables": variables,
        # Rows may be in the order of the input or of processing, where the front turns them, and
        # so may the states of a loop by hand that counts down.
        "turned": FRONTS[desc["front"]].turned,
        "counts_down": desc["loop"]["kind"] == "while_loop_backward",
        "lengths": None if returned.get("lengths") is None else returned["lengths"].tolist(),
        "drawn": desc,
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1, sort_keys=True) + "\n")


def name_of(at, unusual):
    return f"r{at:03d}_" + "+".join(str(value) for _, value in sorted(unusual.items()))


def make_drawn(at, unusual, folder, verbose):
    """Draws until TensorFlow takes a description; False if it never does."""
    for attempt in range(ATTEMPTS):
        desc = draw(unusual, f"{SEED}/{at}/{attempt}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            make_case(desc, folder)
        except Exception as error:  # noqa: BLE001  # TensorFlow refuses what does not fit together
            last = error
            if verbose:
                where = traceback.extract_tb(error.__traceback__)[-1]
                said = str(error).strip().splitlines()[:1]
                print(folder.name, attempt, type(error).__name__, said, where[:2], flush=True)
        else:
            return True
    print(f"{folder.name}: never taken: {str(last).strip().splitlines()[:1]}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    return False


def pack(unpacked, names):
    """One archive; like files stand beside each other, which makes it small."""
    files = [
        path for name in names for path in sorted((unpacked / name).rglob("*")) if path.is_file()
    ]
    files.sort(key=lambda path: (path.suffix, kind_of(path, unpacked)))
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 26}]
    with lzma.open(ARCHIVE, "wb", filters=filters) as stream:  # noqa: SIM117  # Python 3.7
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for path in files:
                add(archive, path, unpacked)


def kind_of(path, unpacked):
    case = unpacked / path.relative_to(unpacked).parts[0]
    drawn = json.loads((case / "meta.json").read_text())["drawn"]
    return (str(drawn["loop"].get("v2")), drawn["loop"]["kind"], str(drawn["strip"]), str(path))


def add(archive, path, unpacked):
    """A file without a time or an owner, so that the archive depends on the models alone."""
    data = path.read_bytes()
    entry = tarfile.TarInfo(path.relative_to(unpacked).as_posix())
    entry.size, entry.mode = len(data), 0o644
    archive.addfile(entry, io.BytesIO(data))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--only", default="*", help="glob over names; packs nothing")
    parser.add_argument(
        "--unpacked", type=Path, default=Path(tempfile.gettempdir(), "random_graphs")
    )
    parser.add_argument("--verbose", action="store_true", help="say why TensorFlow refuses")
    options = parser.parse_args()
    made = []
    for at, unusual in enumerate(plan(options.count, SEED)):
        name = name_of(at, unusual)
        wanted = fnmatch.fnmatch(name, options.only)
        if wanted and make_drawn(at, unusual, options.unpacked / name, options.verbose):
            made.append(name)
    print(f"{len(made)} made of {sum(map(len, AXES.values()))} values of {len(AXES)} axes")
    if options.only == "*":
        pack(options.unpacked, made)
        print(f"{ARCHIVE.name}: {ARCHIVE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
