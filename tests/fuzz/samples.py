"""Small files of every kind that rnnscope reads, each with the commands that read it."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data"
SAMPLES = ROOT / "sample_data"
RANDOM_GRAPHS = (
    "r162_TimeFreqLSTM",
    "r063_BasicLSTMCell_concat",
    "r174_raw_rnn_x_scaled",
    "r245_constant+while_loop_x_by_time",
    "r119_encoder_decoder",
    "r140_unrolled_by_hand",
)

RUN = ("--force", "--threads", "1", "-o", "out.h5")


@dataclass(frozen=True)
class Sample:
    """A folder of files that belong together.

    Attributes
    ----------
    kind : str
    folder : Path
    targets : tuple of str
        The files of which one is changed.
    commands : tuple of tuple of str
        Run in a copy of the folder, one of them at a time.
    """

    kind: str
    folder: Path
    targets: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...]


class _Maker:
    def __init__(self, place: Path) -> None:
        self._place = place
        self.samples: list[Sample] = []

    def folder(self, name: str) -> Path:
        made = self._place / name
        made.mkdir(parents=True, exist_ok=True)
        return made

    def add(
        self, kind: str, name: str, files: list[Path], targets: list[str], *commands: str
    ) -> Path:
        folder = self.folder(name)
        for file in files:
            shutil.copy(file, folder / file.name)
        self.samples.append(
            Sample(
                kind, folder, tuple(targets), tuple(tuple(command.split()) for command in commands)
            )
        )
        return folder


def make_samples(place: Path, *, tensorflow: bool = False) -> list[Sample]:
    """Every sample, in a folder of its own below `place`; always in the same order.

    Parameters
    ----------
    place : Path
    tensorflow : bool
        Also files that only TensorFlow writes (V1 checkpoints, SessionBundles), which takes some
        seconds.
    """
    maker = _Maker(place)
    run = " ".join(RUN)
    for name in ("keras2_masked", "keras_stack", "keras_mask"):
        files = sorted((SAMPLES / name).iterdir())
        model = next(file.name for file in files if file.stem == "model")
        maker.add(
            "keras", name, files, [model], f"inspect {model}", f"run {model} inputs.npz {run}"
        )
    for path in sorted((DATA / "keras").glob("*.h5")):
        maker.add("keras h5", f"keras_{path.stem}", [path], [path.name], f"inspect {path.name}")
    for path in sorted((DATA / "keras").glob("*.index")):
        files = sorted(path.parent.glob(f"{path.stem}.index")) + sorted(
            path.parent.glob(f"{path.stem}.data*")
        )
        maker.add(
            "tf2 objects",
            f"objects_{path.stem}",
            files,
            [path.name, files[1].name],
            f"inspect {path.stem}",
        )
    for folder in ("torch", "torch_kinds"):
        for path in sorted((DATA / folder).glob("*.p*")):
            if path.suffix in (".pt", ".pkl"):
                maker.add(
                    "torch", f"{folder}_{path.stem}", [path], [path.name], f"inspect {path.name}"
                )
    for folder in ("onnx", "onnx_models"):
        for path in sorted((DATA / folder).glob("*.onnx")):
            maker.add("onnx", f"{folder}_{path.stem}", [path], [path.name], f"inspect {path.name}")
    _translated(maker)
    for path in sorted((DATA / "lite").glob("*.tflite")):
        maker.add("tflite", f"lite_{path.stem}", [path], [path.name], f"inspect {path.name}")
    for folder in ("tfjs", "tfjs_graphs"):
        for path in sorted((DATA / folder).glob("*/model.json")):
            files = [path, *sorted(path.parent.glob("*.bin"))]
            names = [one.name for one in files]
            maker.add("tfjs", f"{folder}_{path.parent.name}", files, names, "inspect model.json")
    _bare(maker)
    _packed(maker)
    _tensorflow_1(maker, place)
    if tensorflow:
        _by_tensorflow(maker, place)
    _inputs(maker)
    _traces_and_states(maker)
    _suite(maker)
    _vectors(maker)
    return maker.samples


def _translated(maker: _Maker) -> None:
    """Graphs of other formats, each with the file that holds its constants."""
    for path in sorted((DATA / "openvino").glob("*.xml")):
        beside = path.with_suffix(".bin")
        maker.add(
            "openvino", f"openvino_{path.stem}", [path, beside], [path.name, beside.name],
            f"inspect {path.name}",
        )  # fmt: skip
    for path in sorted((DATA / "coreml").glob("*.mlmodel")):
        maker.add("coreml", f"coreml_{path.stem}", [path], [path.name], f"inspect {path.name}")
    for path in sorted((DATA / "coreml").glob("*.mlpackage/Data/*/*.mlmodel")):
        # The program alone, its weights beside it, as they lie within the package.
        weights = path.parent / "weights" / "weight.bin"
        name = path.parents[2].stem
        folder = maker.add("coreml", f"coreml_{name}", [path], [path.name], f"inspect {path.name}")
        if weights.exists():
            (folder / "weights").mkdir(exist_ok=True)
            shutil.copy(weights, folder / "weights" / "weight.bin")
    for path in sorted([*(DATA / "paddle").glob("*.json"), *(DATA / "paddle").glob("*/*.pdmodel")]):
        beside = path.with_suffix(".pdiparams")
        maker.add(
            "paddle", f"paddle_{path.stem}{path.suffix}", [path, beside], [path.name, beside.name],
            f"inspect {path.name}",
        )  # fmt: skip
    for path in sorted((DATA / "paddle").glob("*.pdparams")):
        maker.add("paddle", f"pdparams_{path.stem}", [path], [path.name], f"inspect {path.name}")
    for path in sorted((DATA / "xlstm").glob("*.[ps]*t*")):
        if path.suffix in (".pt", ".safetensors"):
            maker.add("xlstm", f"xlstm_{path.stem}", [path], [path.name], f"inspect {path.name}")


def some_weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "weight_ih_l0": rng.normal(size=(12, 2)).astype("f4"),
        "weight_hh_l0": rng.normal(size=(12, 3)).astype("f4"),
        "bias_ih_l0": rng.normal(size=12).astype("f4"),
        "bias_hh_l0": rng.normal(size=12).astype("f4"),
    }


def safetensors_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """A .safetensors file of float32 arrays."""
    header, data = {}, b""
    for name, array in arrays.items():
        part = array.tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(part)],
        }
        data += part
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def _bare(maker: _Maker) -> None:
    run = " ".join(RUN)
    folder = maker.folder("safetensors")
    (folder / "m.safetensors").write_bytes(
        safetensors_bytes({f"lstm.{name}": array for name, array in some_weights().items()})
    )
    np.save(folder / "x.npy", np.random.default_rng(1).normal(size=(2, 5, 2)).astype("f4"))
    maker.add(
        "safetensors",
        "safetensors",
        [],
        ["m.safetensors"],
        "inspect m.safetensors",
        f"run m.safetensors x.npy {run}",
    )
    folder = maker.folder("npz_weights")
    rng = np.random.default_rng(2)
    np.savez(
        folder / "w.npz",
        **{
            "rnn/lstm_cell/kernel": rng.normal(size=(5, 12)).astype("f4"),
            "rnn/lstm_cell/bias": rng.normal(size=12).astype("f4"),
        },
    )
    np.save(folder / "x.npy", rng.normal(size=(2, 5, 2)).astype("f4"))
    maker.add(
        "npz weights",
        "npz_weights",
        [],
        ["w.npz"],
        "inspect w.npz --layout tf1",
        f"run w.npz x.npy --layout tf1 {run}",
    )
    _case(maker, run)


def _case(maker: _Maker, run: str) -> None:
    """A small case of a difference: a layer, its input and states in one file."""
    import rnnscope

    folder = maker.folder("case")
    with np.load(maker.folder("npz_weights") / "w.npz") as weights:
        np.savez(folder / "w.npz", **weights)
    np.save(folder / "x.npy", np.ones((1, 3, 2), "f4"))
    rnnscope.run(folder / "w.npz", folder / "x.npy", layout="tf1", output=folder / "t.h5").close()
    with rnnscope.open_trace(folder / "t.h5") as trace:
        (layer,) = trace.layers.values()
        theirs = {"c": np.array(layer.c) + np.float32(0.1), "m": np.array(layer.m)}
    rnnscope.diff(folder / "t.h5", theirs, reduce=folder / "case.npz")
    for name in ("w.npz", "x.npy", "t.h5"):
        (folder / name).unlink()
    maker.add(
        "case", "case", [], ["case.npz"], "inspect case.npz", f"run case.npz case.npz {run}",
        "diff case.npz::a case.npz::b",
    )  # fmt: skip


def _packed(maker: _Maker) -> None:
    """Trees of arrays, and what PyTorch's weights are packed into."""
    for folder in ("array_trees", "unpacked"):
        for path in sorted((DATA / folder).iterdir()):
            if path.is_file() and "truth" not in path.name and path.suffix != ".npz":
                kind = path.suffix.lstrip(".") if folder == "array_trees" else "packed"
                name = f"{folder}_{path.name.replace('.', '_')}"
                maker.add(kind, name, [path], [path.name], f"inspect {path.name}")
    files = sorted((DATA / "unpacked/new_distributed").iterdir())
    names = [file.name for file in files]
    maker.add("distributed", "distributed", files, names, "inspect .")


def _tensorflow_1(maker: _Maker, place: Path) -> None:
    for name in ("lstm_float32", "lstm_float64"):
        files = [file for file in sorted((SAMPLES / name).iterdir()) if file.stem != "truth"]
        targets = [
            "model.ckpt.index",
            "model.ckpt.meta",
            "model.ckpt.meta",
            "checkpoint",
            "model.ckpt.data-00000-of-00001",
        ]
        maker.add("tf1 saver", name, files, targets, "inspect model.ckpt", "inspect .")
    unpacked = place / "random_graphs"
    with tarfile.open(DATA / "random_graphs/random_graphs.tar.xz") as archive:
        members = [member for member in archive if member.name.split("/")[0] in RANDOM_GRAPHS]
        archive.extractall(unpacked, members, filter="data")
    for name in RANDOM_GRAPHS:
        folder = unpacked / name
        files = sorted(
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
        )
        targets = [file for file in files if file.endswith((".meta", ".pb", ".index"))]
        model = (
            "model.ckpt"
            if "model.ckpt.meta" in files
            else "saved_model"
            if "saved_model/saved_model.pb" in files
            else "frozen.pb"
        )
        kind = {
            "model.ckpt": "tf1 saver",
            "saved_model": "SavedModel",
            "frozen.pb": "frozen graph",
        }[model]
        maker.samples.append(Sample(kind, folder, tuple(targets), (("inspect", model),)))


WRITE_V1 = """
import sys, numpy as np, tensorflow as tf
v1, folder = tf.compat.v1, sys.argv[1]
kernel = np.random.default_rng(3).normal(size=(5, 12)).astype("f4")
tensors = {"rnn/lstm_cell/kernel": kernel, "rnn/lstm_cell/bias": np.zeros(12, "f4")}
with tf.Graph().as_default(), v1.Session() as session:
    session.run(tf.raw_ops.SaveSlices(
        filename=folder + "/v1/model.ckpt", tensor_names=list(tensors),
        shapes_and_slices=["", ""], data=[tf.constant(value) for value in tensors.values()],
    ))
with tf.Graph().as_default(), v1.Session() as session:
    for name, value in tensors.items():
        v1.get_variable(name, initializer=value)
    session.run(v1.global_variables_initializer())
    saver = v1.train.Saver(sharded=True, write_version=v1.train.SaverDef.V1)
    saver.save(session, folder + "/bundle/export", write_state=False)
"""


def _by_tensorflow(maker: _Maker, place: Path) -> None:
    maker.folder("v1")
    maker.folder("bundle")
    done = subprocess.run(
        [sys.executable, "-c", WRITE_V1, str(place)], capture_output=True, check=False
    )
    if done.returncode:
        return
    maker.add("tf1 saver v1", "v1", [], ["model.ckpt"], "inspect model.ckpt")
    maker.add("session bundle", "bundle", [], ["export-00000-of-00001", "export.meta"], "inspect .")


def _inputs(maker: _Maker) -> None:
    """Inputs beside a checkpoint that is as it was."""
    run = " ".join(RUN)
    weights = maker.folder("npz_weights") / "w.npz"
    rng = np.random.default_rng(4)
    x = rng.normal(size=(3, 6, 2)).astype("f4")
    common = f"w.npz {{}} --layout tf1 {run}"
    for name, options in (
        ("npy", "x.npy"),
        ("npz", "x.npz"),
        ("h5", "x.h5::/x --lengths x.h5::/lengths"),
        ("csv", "x.csv"),
    ):
        folder = maker.folder(f"input_{name}")
        shutil.copy(weights, folder)
        np.save(folder / "x.npy", x)
        np.savez(
            folder / "x.npz",
            x=x,
            lengths=np.array([6, 4, 2]),
            initial_c=np.zeros((3, 3), "f4"),
            initial_m=np.zeros((3, 3), "f4"),
        )
        with h5py.File(folder / "x.h5", "w") as file:
            file["x"], file["lengths"] = x, np.array([6, 4, 2])
        np.savetxt(folder / "x.csv", x[0], delimiter=",", header="a,b", comments="")
        target = options.split(":")[0].split()[0]
        maker.add(
            "input",
            f"input_{name}",
            [],
            [target],
            "run " + common.format(options),
            "run " + common.format(options) + " --engine reference --memory 1MB",
        )
    folder = maker.folder("lengths")
    for file in (weights, maker.folder("input_npy") / "x.npy"):
        shutil.copy(file, folder)
    np.save(folder / "lengths.npy", np.array([6, 4, 2]))
    np.save(folder / "mask.npy", np.arange(6) < np.array([[6], [4], [2]]))
    maker.add(
        "input",
        "lengths",
        [],
        ["lengths.npy", "mask.npy"],
        "run " + common.format("x.npy --lengths lengths.npy"),
        "run " + common.format("x.npy --mask mask.npy"),
    )


def rnnscope(folder: Path, *arguments: str) -> None:
    """Run a command line in a folder; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "rnnscope", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr)


def _traces_and_states(maker: _Maker) -> None:
    folder = maker.folder("trace")
    for file in (maker.folder("npz_weights") / "w.npz", maker.folder("input_npz") / "x.npz"):
        shutil.copy(file, folder)
    rnnscope(folder, "run", "w.npz", "x.npz", "--layout", "tf1", "-o", "t.h5", "--gates", "--quiet")
    shutil.copy(folder / "t.h5", folder / "o.h5")
    maker.add(
        "trace",
        "trace",
        [],
        ["t.h5"],
        "check t.h5",
        "check t.h5 --recompute",
        "check t.h5 --golden o.h5",
        "pool t.h5 --method mean",
        "pool t.h5 --method max -o p.npz --force",
        "diff t.h5 o.h5",
        "diff o.h5 t.h5",
        "rerun t.h5",
        "rerun t.h5 -o n.h5",
        "export t.h5 --to arrays -o outa --force",
        "export t.h5 --to torch -o o.npz --force",
        "export t.h5 --to trace -o n.h5 --force",
        "run w.npz x.npz --lengths t.h5::/lengths --layout tf1 -o q.h5",
    )
    _zarr_trace(maker, folder)
    for number, options in enumerate(("--ragged", "--select steps=0:3", "--compress gzip")):
        other = maker.folder(f"trace_{number}")
        for file in ("w.npz", "x.npz"):
            shutil.copy(folder / file, other)
        rnnscope(
            other,
            "run",
            "w.npz",
            "x.npz",
            "--layout",
            "tf1",
            "-o",
            "t.h5",
            "--quiet",
            *options.split(),
        )
        shutil.copy(folder / "t.h5", other / "o.h5")
        maker.add(
            "trace",
            f"trace_{number}",
            [],
            ["t.h5"],
            "check t.h5 --allow-empty",
            "diff t.h5 o.h5",
            "rerun t.h5",
            "export t.h5 --to arrays -o o.npz --force",
            *(() if number == 1 else ("pool t.h5 --method mean",)),
        )
    _resumes(maker, folder)
    for name, to, file in (
        ("torch", "torch", "s.npz"),
        ("keras", "keras", "s.npz"),
        ("onnx", "onnx", "s.npz"),
        ("safetensors", "arrays", "s.safetensors"),
        ("json", "arrays", "s.json"),
        ("h5", "arrays", "s.h5"),
        ("tuple", "tuple", "s.npz"),
        ("concat", "concat", "s.npz"),
        ("folder", "arrays", "s"),
    ):
        other = maker.folder(f"states_{name}")
        rnnscope(folder, "export", "t.h5", "--to", to, "-o", str(other / file), "--quiet")
        shutil.copy(folder / "t.h5", other)
        targets = (
            [path.relative_to(other).as_posix() for path in sorted((other / file).rglob("*.npy"))]
            if file == "s"
            else [file]
        )
        maker.add(
            "states",
            f"states_{name}",
            [],
            targets,
            f"diff {file} t.h5",
            f"diff t.h5 {file}",
            f"export {file} --to arrays -o out.npz --force",
            f"export {file} --to trace -o out.h5 --force",
        )
    other = maker.folder("states_lstmvis")
    (other / "words").write_text("".join(f"w{number} {number}\n" for number in range(9)))
    np.save(other / "ids.npy", np.arange(18).reshape(3, 6) % 9)
    shutil.copy(folder / "t.h5", other)
    rnnscope(
        other,
        "export",
        "t.h5",
        "--to",
        "lstmvis",
        "--ids",
        "ids.npy",
        "--words",
        "words",
        "-o",
        "lv",
        "--quiet",
    )
    maker.add(
        "states",
        "states_lstmvis",
        [],
        ["lv/lstm.yml", "lv/states.h5", "lv/train.h5", "lv/words.dict"],
        "diff lv t.h5",
        "export lv --to arrays -o out.npz --force",
    )
    other = maker.folder("states_bare")
    for file in sorted((SAMPLES / "worked_example").iterdir()):
        shutil.copy(file, other)
    maker.add(
        "states",
        "states_bare",
        [],
        ["outputs.npy", "state.npz"],
        "check --outputs outputs.npy --state state.npz --lengths 3",
        "check --outputs outputs.npy --lengths 3 --padding zeros",
    )


def _zarr_trace(maker: _Maker, trace: Path) -> None:
    """The trace as a zarr store, its metadata in one document, and a shard of it."""
    if find_spec("zarr") is None:
        return
    folder = maker.folder("trace_zarr")
    for file in ("w.npz", "x.npz", "o.h5"):
        shutil.copy(trace / file, folder)
    rnnscope(folder, "export", "o.h5", "--to", "zarr", "-o", "t.zarr", "--quiet")
    shards = [str(file.relative_to(folder)) for file in sorted(folder.rglob("c/c/0/0/0"))]
    maker.add(
        "trace zarr",
        "trace_zarr",
        [],
        ["t.zarr/zarr.json", shards[0]],
        "check t.zarr",
        "diff t.zarr o.h5",
        "inspect t.zarr",
        "rerun t.zarr",
        "export t.zarr --to hdf5 -o n.h5 --force",
        "pool t.zarr --method max -o p.npz --force",
    )


def _resumes(maker: _Maker, trace: Path) -> None:
    """What an interrupted run leaves: made by a run that is stopped at its second commit."""
    folder = maker.folder("resume")
    for file in ("w.npz", "x.npz"):
        shutil.copy(trace / file, folder)
    script = (
        "import sys, rnnscope.trace.partial as partial\n"
        "from rnnscope.cli.main import run\n"
        "real = partial.PartialFile.write_commit\n"
        "def stop(self, done, state):\n"
        "    real(self, done, state)\n"
        "    raise KeyboardInterrupt\n"
        "partial.PartialFile.write_commit = stop\n"
        "sys.exit(run(sys.argv[1:]))\n"
    )
    arguments = [
        "run",
        "w.npz",
        "x.npz",
        "--layout",
        "tf1",
        "--threads",
        "1",
        "-o",
        "out.h5",
        "--memory",
        "1KB",
    ]
    subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=folder, capture_output=True, check=False
    )
    if not (folder / ".out.h5.partial.json").exists():
        raise RuntimeError("the interrupted run left nothing")
    maker.add(
        "partial",
        "resume",
        [],
        [".out.h5.partial", ".out.h5.partial.json"],
        " ".join([*arguments, "--resume"]),
    )


SUITE = """
[defaults]
recompute = true
[[case]]
name = "one"
checkpoint = "w.npz"
input = "x.npz"
golden = "g/{stem}.h5"
tolerances = { atol = 1e-5, rtol = { c = 1e-3 } }
run = { gates = true, layout = "tf1", forget_bias = { "*" = 1.0 }, override = true }
checks = { skip = ["finite"] }
limits = { exploding-c = 5.0 }
"""


def _suite(maker: _Maker) -> None:
    folder = maker.folder("suite")
    for file in ("w.npz", "x.npz"):
        shutil.copy(maker.folder("trace") / file, folder)
    (folder / "s.toml").write_text(SUITE)
    (folder / "g").mkdir(exist_ok=True)
    rnnscope(folder, "check", "--suite", "s.toml", "--update-golden")
    maker.add(
        "suite",
        "suite",
        [],
        ["s.toml", "s.toml", "g/w.h5"],
        "check --suite s.toml",
        "check --suite s.toml --update-golden",
    )


def _vectors(maker: _Maker) -> None:
    """Vectors, and what a program computed, in JSON and as named arrays."""
    folder = maker.folder("vectors")
    shutil.copy(maker.folder("trace") / "w.npz", folder)
    small = ("--steps", "4", "--sequences", "2", "--no-header", "--layout", "tf1", "-q", "-f")
    rnnscope(folder, "vectors", "w.npz", "-o", "v", *small)
    for suffix in ("json", "npz"):
        shutil.copy(folder / "v" / f"vectors.{suffix}", folder / f"theirs.{suffix}")
    maker.add(
        "vectors",
        "vectors",
        [],
        ["v/vectors.json", "v/vectors.json", "theirs.json", "theirs.npz"],
        "check --vectors v theirs.json --explain-budget 0",
        "check --vectors v theirs.npz --explain-budget 0",
    )
