"""Coverage-guided fuzzing, where atheris installs (``pip install atheris``): optional, of one kind.

``python tests/fuzz/with_atheris.py torch --seconds 600`` changes the files of a kind's samples, by
bytes as libFuzzer does and in their structure as `mutate` does, keeps what reaches new lines of
rnnscope, and runs the samples' commands on them in this process. A traceback is a find: libFuzzer
writes the input to ``--keep``. Kinds are those of `samples`; HDF5 files are left to `try_files`,
where each has a process: the HDF5 library itself crashes on damage.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from random import Random
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"
sys.path[0] = str(Path(__file__).resolve().parents[1])  # as pytest has it

HDF5 = b"\x89HDF"

MOST = 2**20
"""Bytes of an input."""


def import_instrumented() -> None:
    """All of rnnscope, so that libFuzzer hears of each line that is reached."""
    import atheris

    with atheris.instrument_imports(include=["rnnscope"]):
        from rnnscope.checkpoints import readers
        from rnnscope.cli.main import COMMANDS, cli

        readers()
        for name in COMMANDS:
            cli.get_command(None, name)  # type: ignore[arg-type]


class Target:
    """Runs the commands of one sample on inputs in the place of one of its files."""

    def __init__(self, sample: Any, name: str, place: Path) -> None:
        self.name = name
        self.file = place / name
        self._commands = [command for command in sample.commands if _reads(command)]
        shutil.copytree(sample.folder, place, dirs_exist_ok=True)
        os.chdir(place)

    def __call__(self, content: bytes) -> None:
        from rnnscope.cli.main import run

        if content[: len(HDF5)] == HDF5:
            return
        self.file.write_bytes(content)
        command = self._commands[len(content) % len(self._commands)]
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            code = run(list(command))
        if code not in (0, 1, 2) or "Traceback" in errors.getvalue():
            raise RuntimeError(f"{' '.join(command)}: {code}\n{errors.getvalue()[-3000:]}")

    def change(self, content: bytes, most: int, seed: int) -> bytes:
        """What libFuzzer calls for a new input."""
        import atheris
        from fuzz.mutate import mutated

        rng = Random(seed)  # noqa: S311  # reproducible on purpose
        if rng.random() < 0.5:
            return bytes(atheris.Mutate(content, most))
        return mutated(self.name, content, rng)[:most]


def _reads(command: tuple[str, ...]) -> bool:
    return command[0] in ("inspect", "diff", "check", "run", "show", "rerun", "pool", "export")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("finds"))
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    import_instrumented()
    import atheris
    from fuzz.samples import make_samples

    keep = given.keep.resolve()
    keep.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="rnnscope-atheris-"))
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    samples = [one for one in make_samples(folder / "samples") if one.kind == given.kind]
    if not samples:
        parser.error(f"no samples of the kind {given.kind!r}")
    sample = samples[given.seed % len(samples)]
    name = sample.targets[given.seed // len(samples) % len(sample.targets)]
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, other in enumerate(samples):
        for file in other.folder.glob(f"*{Path(name).suffix}"):
            shutil.copy(file, corpus / f"{number}-{file.name}")
    target = Target(sample, name, folder / "place")
    flags = [f"-max_total_time={given.seconds}", f"-seed={given.seed}", f"-max_len={MOST}"]
    flags += [f"-artifact_prefix={keep}/", "-timeout=30", "-rss_limit_mb=4000", str(corpus)]
    atheris.Setup([sys.argv[0], *flags], target, custom_mutator=target.change)
    atheris.Fuzz()  # ends the process


if __name__ == "__main__":
    main()
