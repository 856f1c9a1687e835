"""Damaged and malicious copies of every kind of file, read by every command.

``python tests/fuzz/try_files.py --seconds 60`` changes copies of the samples (`samples`, `mutate`)
and runs a command on each, in a process of its own. A try ends well with exit code 0, 1 or 2,
without a traceback, within 20 seconds of computing and 3 GB of addresses, and with nothing opened
for writing outside its folder, nothing started, imported or connected that a file could have asked
for (`audit`). Everything else is a find: its folder is kept, with the command in ``ARGS``.

The same seed and the same samples give the same tries in the same order.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

os.environ["OPENBLAS_NUM_THREADS"] = (
    "1"  # before numpy: children are forked, which takes no threads
)
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # as pytest has it

from fuzz.audit import AUDIT, watch
from fuzz.mutate import mutated
from fuzz.samples import Sample, make_samples

if __name__ == "__main__":
    # A module that a try is the first to need would be cached beside its source: no find.
    sys.dont_write_bytecode = True

SECONDS_EACH = 20
"""Of computing, so that a busy machine is no find."""

WAITING_EACH = 10 * SECONDS_EACH
"""Until whatever neither computes nor ends is ended, too."""

ADDRESSES = 3 * 2**30


@dataclass
class Try:
    """One damaged copy and the command that reads it."""

    number: int
    sample: Sample
    folder: Path
    command: tuple[str, ...]
    target: str
    rng: Random | None = None
    process: int = 0
    started: float = 0.0


@dataclass
class Tally:
    """What happened."""

    tries: Counter[str] = field(default_factory=Counter)
    codes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    finds: dict[str, list[str]] = field(default_factory=dict)
    slowest: float = 0.0
    unchanged: int = 0


def start(one: Try) -> None:
    """Fork; the child changes the file, runs the command, and never returns."""
    sys.stdout.flush()
    one.started = time.monotonic()
    one.process = os.fork()
    if one.process:
        return
    try:
        os.chdir(one.folder)
        if one.rng is not None:
            file = Path(one.target)
            file.write_bytes(mutated(one.target, file.read_bytes(), one.rng))
            Path(f"{one.folder}.changed").touch()
        for number, name in ((1, "stdout"), (2, "stderr")):
            made = os.open(
                one.folder.parent / f"{one.folder.name}.{name}",
                os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
            )
            os.dup2(made, number)
        # pytest and others put objects of their own in their place.
        sys.stdout, sys.stderr = (open(n, "w", closefd=False) for n in (1, 2))  # noqa: SIM115
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS_EACH, SECONDS_EACH + 5))
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**28, 2**28))
        watch(one.folder)
        from rnnscope.cli.main import run
        from rnnscope.files.guarding.limits import set_limits

        set_limits(probe_always=True)

        code = run(list(one.command))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    except BaseException:  # noqa: BLE001 - reported by its traceback
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        os._exit(97)


def judged(one: Try, status: int | None, tally: Tally) -> str:
    """The signature of a find, or an empty text."""
    stderr = (one.folder.parent / f"{one.folder.name}.stderr").read_text("utf-8", "replace")
    if status is None or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
        return f"{one.sample.kind}: endless: {' '.join(one.command[:1])} of {one.target}"
    if os.WIFSIGNALED(status):
        return f"{one.sample.kind}: signal {os.WTERMSIG(status)}"
    code = os.WEXITSTATUS(status)
    tally.codes[one.sample.kind][str(code)] += 1
    if code == AUDIT:
        return f"{one.sample.kind}: {stderr[stderr.find('AUDIT') :][:70]}"
    if "Traceback" in stderr or code not in (0, 1, 2):
        frames = re.findall(r'File "[^"]*/rnnscope/([^"]+)", line (\d+), in (\S+)', stderr)
        last = [
            line
            for line in stderr.splitlines()
            if re.match(r"[A-Za-z_.]+(Error|Exception|Interrupt)\b", line)
        ]
        error = last[-1].split(":")[0] if last else f"exit code {code}"
        place = "{}:{} {}".format(*frames[-1]) if frames else "?"
        return f"{error} at {place}"
    stdout = one.folder.parent / f"{one.folder.name}.stdout"  # where reports tell of errors
    if code == 2 and not stderr.strip() and not stdout.stat().st_size:
        return f"{one.sample.kind}: exit code 2 without a word"
    return ""


def finished(running: list[Try], tally: Tally, keep: Path | None) -> list[Try]:
    """Those that still run; the others are judged and their folders removed."""
    left = []
    for one in running:
        process, status = os.waitpid(one.process, os.WNOHANG)
        spent = time.monotonic() - one.started
        if not process and spent < WAITING_EACH:
            left.append(one)
            continue
        changed = Path(f"{one.folder}.changed")
        if not changed.exists():  # what h5py or numpy made of it is no concern of rnnscope's
            tally.unchanged += 1
        result: int | None = status
        if not process:
            os.kill(one.process, signal.SIGKILL)
            os.waitpid(one.process, 0)
            result = None
        tally.slowest = max(tally.slowest, spent)
        tally.tries[one.sample.kind] += 1
        find = judged(one, result, tally) if changed.exists() else ""
        if find:
            note_find(one, find, tally, keep)
        shutil.rmtree(one.folder, ignore_errors=True)
        for name in ("stdout", "stderr", "changed"):
            (one.folder.parent / f"{one.folder.name}.{name}").unlink(missing_ok=True)
    return left


def note_find(one: Try, find: str, tally: Tally, keep: Path | None) -> None:
    """Keep the first folder of each signature."""
    known = tally.finds.setdefault(find, [])
    known.append(str(one.number))
    if len(known) > 1:
        return
    print(
        f"find: {find}  (try {one.number}, {one.sample.folder.name}: {' '.join(one.command)})",
        flush=True,
    )
    if keep is not None:
        place = keep / f"{one.number:06d}"
        shutil.copytree(one.folder, place, symlinks=True, ignore_dangling_symlinks=True)
        stderr = (one.folder.parent / f"{one.folder.name}.stderr").read_text("utf-8", "replace")
        (place / "ARGS").write_text(json.dumps(one.command) + f"\n{find}\n\n{stderr}")


def make_try(number: int, seed: int, samples: list[Sample], place: Path) -> Try:
    """Try `number` of a seed: kinds of files have equal shares, however many samples they have."""
    rng = Random(f"{seed}/{number}")  # noqa: S311  # reproducible on purpose
    kinds = sorted({sample.kind for sample in samples})
    kind = rng.choice(kinds)
    sample = rng.choice([sample for sample in samples if sample.kind == kind])
    folder = place / f"{number:06d}"
    shutil.copytree(sample.folder, folder)
    target = rng.choice(sample.targets)
    return Try(number, sample, folder, rng.choice(sample.commands), target, rng)


def fuzz(
    samples: list[Sample],
    numbers: Iterable[int],
    seed: int,
    seconds: float,
    *,
    keep: Path | None = None,
    workers: int = 2,
) -> Tally:
    """Try after try, until the numbers or the seconds are used up."""
    tally, running = Tally(), []
    until = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        os.environ["XDG_CACHE_HOME"] = str(place / "cache")
        for number in numbers:
            if time.monotonic() > until:
                break
            one = make_try(number, seed, samples, place)
            start(one)
            running.append(one)
            while len(running) >= workers:
                running = finished(running, tally, keep)
                if len(running) >= workers:
                    time.sleep(0.002)
        while running:
            running = finished(running, tally, keep)
            time.sleep(0.002)
    return tally


def import_everything() -> None:
    """So that children need not."""
    import h5py  # noqa: F401

    import rnnscope.api.diff
    import rnnscope.api.export
    import rnnscope.api.pool
    import rnnscope.comparing.compare
    import rnnscope.record.checking.trace_checks  # noqa: F401
    from rnnscope.checkpoints import readers
    from rnnscope.cli.main import COMMANDS, cli

    readers()
    for name in COMMANDS:
        cli.get_command(None, name)  # type: ignore[arg-type]


def check_samples(samples: list[Sample]) -> None:
    """Every command must do its work on the files as they are: else nothing behind it is tried."""
    with tempfile.TemporaryDirectory() as folder:
        for number, (sample, command) in enumerate((s, c) for s in samples for c in s.commands):
            place = Path(folder, str(number))
            shutil.copytree(sample.folder, place)
            one = Try(number, sample, place, command, "")
            start(one)
            code = _code(one)
            if code not in (0, 1):
                stderr = (place.parent / f"{number}.stderr").read_text("utf-8")
                print(f"sample {sample.folder.name}: {' '.join(command)}: {code}\n{stderr}")


def _code(one: Try) -> int | None:
    """The exit code of a child; None where it had to be killed."""
    while True:
        process, status = os.waitpid(one.process, os.WNOHANG)
        if process:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() - one.started > SECONDS_EACH:
            os.kill(one.process, signal.SIGKILL)
            os.waitpid(one.process, 0)
            return None
        time.sleep(0.002)


def report(tally: Tally, seconds: float) -> str:
    """The table of tries and finds."""
    lines = [f"{'kind':<16}{'tries':>8}{'exit 0':>8}{'exit 1':>8}{'exit 2':>8}"]
    for kind, tries in sorted(tally.tries.items()):
        codes = tally.codes[kind]
        lines.append(f"{kind:<16}{tries:>8}{codes['0']:>8}{codes['1']:>8}{codes['2']:>8}")
    tries = sum(tally.tries.values())
    lines.append(
        f"{'in all':<16}{tries:>8}   {seconds:.0f} s, slowest {tally.slowest:.1f} s, "
        f"{tally.unchanged} could not be made, {len(tally.finds)} finds"
    )
    lines += [
        f"{len(numbers):>6} x {find}"
        for find, numbers in sorted(tally.finds.items(), key=lambda item: -len(item[1]))
    ]
    return "\n".join(lines)


def main() -> int:
    """Run from a shell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first try")
    parser.add_argument("--tries", type=int, default=10**9)
    parser.add_argument("--kind", action="append", help="only samples of this kind")
    parser.add_argument("--keep", type=Path, help="folder for what was found")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--tensorflow", action="store_true", help="also files that TensorFlow must write"
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth sample")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # numpy and zipfile remark on what is changed
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder + "/cache"
        samples = make_samples(Path(folder, "samples"), tensorflow=given.tensorflow)
        if given.kind:
            samples = [sample for sample in samples if sample.kind in given.kind]
        samples = samples[:: given.every]
        import_everything()
        check_samples(samples)
        started = time.monotonic()
        numbers = range(given.first, given.first + given.tries)
        tally = fuzz(
            samples, numbers, given.seed, given.seconds, keep=given.keep, workers=given.workers
        )
        print(report(tally, time.monotonic() - started))
    return 1 if tally.finds else 0


if __name__ == "__main__":
    sys.exit(main())
