"""Wheels on PyPI that ship recurrent models: read, run, and held to what computes them otherwise.

    python tests/shipped/check_wheels.py [--folder FOLDER] [--page PAGE] [PACKAGE …]

A nightly script, no test: it downloads. It fetches each package with ``pip download --no-deps``,
never installs or imports one, finds its model files, and for each one runs ``inspect`` and ``run``
on random input of the shape that the file wants. Where PyTorch, Keras or ONNX Runtime are
installed, they compute the same layers from the same file on their own, and the largest difference
of m or of the last c is told. Exit 1 if a file that was read before is not read any more, or
differs by more than `LIMIT`; 2 if a package could not be fetched.

``--page`` writes the table between the two marks of a Markdown page.
"""

from __future__ import annotations

import argparse
import datetime as dt
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from judges import JUDGES, NoJudge

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.errors import RnnscopeError
from rnnscope.model.recurrent_layer import RecurrentLayer

LIMIT = 1e-4
STEPS, SEQUENCES = 12, 2
BEGIN, END = "<!-- check_wheels: begin -->", "<!-- check_wheels: end -->"
MAX_UNPACKED = 1 << 30


@dataclass(frozen=True)
class Model:
    """A file of a package.

    Attributes
    ----------
    member : str
        The end of its path.
    layers : int
        How many recurrent layers are to be read; 0 for a file that is named and refused.
    judge : str
        A key of `JUDGES`, or empty.
    options : tuple of (str, str)
        Of the run: ``layout``.
    """

    member: str
    layers: int
    judge: str = ""
    options: tuple[tuple[str, str], ...] = ()


TORCH_LAYOUT = (("layout", "torch"),)

PACKAGES: dict[str, tuple[Model, ...]] = {
    "silero-vad==6.2.3": (
        Model("silero_vad_16k.safetensors", 1, "torch"),
        Model("silero_vad.jit", 2),
        Model("silero_vad_16k_sequence.onnx", 1, "onnxruntime"),
        Model("silero_vad_16k_op15.onnx", 2),
        Model("silero_vad.onnx", 4),
        Model("silero_vad_openvino_16k.onnx", 1),
        Model("silero_vad_op18_ifless.onnx", 0),
    ),
    "Resemblyzer==0.1.4": (Model("pretrained.pt", 3, "torch"),),
    "g2p-en==2.1.0": (Model("checkpoint20.npz", 2, "torch", TORCH_LAYOUT),),
    "textgenrnn==2.0.0": (Model("textgenrnn_weights.hdf5", 2),),
    "chars2vec==0.1.7": tuple(
        Model(f"eng_{width}/weights.h5", 2, "keras") for width in (50, 100, 150, 200, 300)
    ),
    "uzmorph-nn==0.1.0": (Model("morph_bilstm.pth", 4, "torch"),),
    "arabic-diacritizer==1.0.0": (Model("bilstm_best.pt", 6, "torch"),),
    "dksplit==1.0.2": (Model("dksplit-int8.onnx", 0),),
    "ovos-vad-plugin-precise==0.0.1": (Model("vad.tflite", 0),),
    "sentinews==0.5.0": (Model("default_best.h5", 3, "keras"),),
    "netra-transliterate==1.0.1": (
        Model("bi_gru_attention_khmer_transliterator.keras", 3, "keras"),
    ),
    "g2pM==0.1.2.5": (Model("np_ckpt.pkl", 2, "torch"),),
}
"""What is fetched. A file with no layers is one that is not read yet: it has to be named."""


@dataclass
class Outcome:
    """What came of a file."""

    package: str
    model: Model
    size: int = 0
    format: str = ""
    layers: int = 0
    said: str = ""
    judge: str = ""
    difference: float | None = None

    @property
    def good(self) -> bool:
        near = self.difference is None or self.difference <= LIMIT
        return self.layers >= self.model.layers and near

    def row(self) -> str:
        """The line of the table."""
        held = self.judge or "finite states alone"
        how = "" if self.difference is None else f"{self.difference:.1e}"
        read = str(self.layers) if self.layers else "none"
        name = self.model.member.rsplit("/", 1)[-1]
        if "/" in self.model.member:
            name = self.model.member
        cells = (self.package.replace("==", " "), f"`{name}`", self.format, read)
        return f"| {' | '.join((*cells, held if self.layers else self.said, how))} |"


def fetch(package: str, folder: Path) -> Path:
    """Download a package and unpack it; the folder of its files."""
    place = folder / package.replace("==", "-")
    place.mkdir(parents=True, exist_ok=True)
    inside = place / "files"
    if inside.exists():
        return inside
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(place), package],
        check=True,
    )
    (archive,) = (one for one in place.iterdir() if one.is_file())
    inside.mkdir()
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            if sum(one.file_size for one in wheel.infolist()) > MAX_UNPACKED:
                raise ValueError(f"{archive.name} unpacks to more than {MAX_UNPACKED} bytes")
            wheel.extractall(inside)  # noqa: S202 - zipfile keeps members inside
    else:
        with tarfile.open(archive) as source:
            if sum(one.size for one in source.getmembers()) > MAX_UNPACKED:
                raise ValueError(f"{archive.name} unpacks to more than {MAX_UNPACKED} bytes")
            source.extractall(inside, filter="data")
    return inside


def examine(package: str, model: Model, inside: Path) -> Outcome:
    """Read and run one file, and hold it to its judge."""
    outcome = Outcome(package, model)
    found = [one for one in inside.rglob("*") if str(one).endswith("/" + model.member)]
    if len(found) != 1:
        outcome.said = f"{len(found)} files of that name"
        return outcome
    path = found[0]
    outcome.size = path.stat().st_size
    options = dict(model.options)
    try:
        checkpoint = read_checkpoint(path, **options)
        recurrent = checkpoint.network.recurrent
        outcome.format, outcome.layers = checkpoint.format, len(recurrent)
        for node in recurrent:
            x = random_input(node.layer)
            with rnnscope.run(path, x, layers=[node.name], feed=[node.name], **options) as trace:
                assert np.isfinite(np.array(trace.layers[node.name].m)).all()
    except RnnscopeError as error:
        outcome.said = error.what
        return outcome
    if not model.judge:
        return outcome
    try:
        outcome.difference = judged(path, model, options)
        outcome.judge = JUDGES[model.judge].title
    except NoJudge as reason:
        outcome.judge = f"nothing: {reason}"
    return outcome


def random_input(layer: RecurrentLayer) -> np.ndarray:
    """(sequence, timestep, feature) as a layer reads it."""
    rng = np.random.default_rng(0)
    shape = (SEQUENCES, STEPS, layer.cell.input_size)
    return rng.normal(size=shape).astype(layer.cell.dtype)


def judged(path: Path, model: Model, options: dict[str, str]) -> float:
    """The largest difference of any layer of a file from what its judge computes."""
    judge = JUDGES[model.judge]
    checkpoint = read_checkpoint(path, **options)
    worst = 0.0
    for node in checkpoint.network.recurrent:
        layer = node.layer
        x = random_input(layer)
        expected = judge.states(path, node.name, layer, x)
        with rnnscope.run(path, x, layers=[node.name], feed=[node.name], **options) as trace:
            states = trace.layers[node.name]
            made = {
                "m": np.array(states.m),
                **{f"final {k}": np.array(v) for k, v in states.final.items()},
            }
        for name, value in expected.items():
            worst = max(worst, float(np.abs(made[name] - value).max()))
    return worst


def write_table(page: Path, rows: list[str]) -> None:
    """Put the table between the marks of a page."""
    text = page.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, behind = rest.partition(END)
    head = [
        "| package | file | reader | layers | held to | differs by |",
        "|---|---|---|---|---|---|",
    ]
    date = dt.datetime.now(dt.timezone.utc).date()
    table = "\n".join(["", f"Of {date}:", "", *head, *rows, ""])
    page.write_text(f"{before}{BEGIN}{table}{END}{behind}", "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packages", nargs="*", help="names of PACKAGES; all if left out")
    parser.add_argument("--folder", type=Path, help="where to keep what is downloaded")
    parser.add_argument("--page", type=Path, help="a page to write the table into")
    chosen = parser.parse_args()
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="wheels-"))
    outcomes, lost = [], False
    for package, models in PACKAGES.items():
        if chosen.packages and package.split("==")[0] not in chosen.packages:
            continue
        try:
            inside = fetch(package, folder)
        except (subprocess.CalledProcessError, ValueError, OSError) as error:
            print(f"{package}: not fetched: {error}")
            lost = True
            continue
        for model in models:
            outcome = examine(package, model, inside)
            outcomes.append(outcome)
            print(("ok   " if outcome.good else "WORSE"), outcome.row(), flush=True)
    if chosen.page:
        write_table(chosen.page, [outcome.row() for outcome in outcomes])
    if not all(outcome.good for outcome in outcomes):
        return 1
    return 2 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
