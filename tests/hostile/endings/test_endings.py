"""Processes that are ended, or get no room, memory, threads or files from the system."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rnnscope.cli.ending import named
from rnnscope.files.writing.work_folders import replace_folder, work_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and locks of POSIX")

COMMAND = (sys.executable, "-m", "rnnscope")
LONG = (
    *("run", "w.npz", "long.npy", "--layout", "tf1", "-o", "long.h5"),
    *("--memory", "1KB", "--threads", "1"),
)


@pytest.fixture
def long_run(files):
    """A run of many slices, and the files that it leaves beside those that were there."""
    np.save("long.npy", np.zeros((3000, 4, 2), "f4"))
    before = {path.name for path in Path().iterdir()}

    started = []

    def start():
        process = subprocess.Popen([*COMMAND, *LONG], stdout=-1, stderr=-1, text=True)
        started.append(process)
        while process.poll() is None and not Path(".long.h5.partial.json").exists():
            time.sleep(0.005)
        return process

    yield start, lambda: {path.name for path in Path().iterdir()} - before
    for process in started:
        process.kill()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signals_end_a_run_as_ctrl_c_does(long_run, name):
    """What was committed is kept for --resume, and the exit code is what shells expect."""
    start, left = long_run
    # Whoever runs the tests in the background, or under nohup, has their children ignore these.
    ignored = signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        process = start()
    finally:
        signal.signal(getattr(signal, name), ignored)
    process.send_signal(getattr(signal, name))
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + getattr(signal, name)
    assert stderr == "interrupted: the same command with --resume goes on from here\n"
    assert left() == {".long.h5.partial", ".long.h5.partial.json"}
    subprocess.run([*COMMAND, *LONG, "--resume", "--quiet"], check=True)
    assert left() == {"long.h5"}


def test_a_hangup_that_is_ignored_stays_ignored(long_run):
    """As nohup asks for it."""
    start, left = long_run
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = start()
    finally:
        signal.signal(signal.SIGHUP, before)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert left() == {"long.h5"}


def test_a_folder_that_a_killed_process_left_goes_with_the_next(tmp_path):
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from rnnscope.files.writing.work_folders import work_folder\n"
        "with work_folder('.x.', '.partial', Path(sys.argv[1])) as made:\n"
        "    (made / 'half').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert len(list(tmp_path.glob(".x.*.partial"))) == 1
    (tmp_path / ".x.mine.partial").mkdir()  # of no name that is ours
    name = (".x.", ".partial", tmp_path)
    with work_folder(*name) as one, work_folder(*name) as other:  # both live: neither is removed
        assert one.is_dir()
        assert other.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == [".x.mine.partial"]


def test_a_link_with_the_name_of_a_work_folder_is_left_alone(tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").touch()
    place = tmp_path / "place"
    place.mkdir()
    (place / ".x.abcdefgh.partial").symlink_to(victim)
    with work_folder(".x.", ".partial", place):
        pass
    assert (victim / "file").exists()
    assert (place / ".x.abcdefgh.partial").is_symlink()


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_replaced(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr("rnnscope.files.writing.work_folders._exchange", lambda *_: False)
    target = tmp_path / "t"
    for content in "ab":
        with work_folder(".t.", "", tmp_path) as work:
            (work / "whole").mkdir()
            (work / "whole" / "f").write_text(content)
            replace_folder(work, target)
    assert (target / "f").read_text() == "b"
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


@pytest.mark.parametrize("step", [1, 2])
def test_a_kill_between_two_renames_loses_nothing(tmp_path, step):
    """Where no exchange is there: the next process does what the killed one did not come to."""
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "import rnnscope.files.writing.work_folders as w\n"
        "place, step = Path(sys.argv[1]), int(sys.argv[2])\n"
        "w._exchange = lambda *_: False\n"
        "real, calls = Path.rename, []\n"
        "def rename(self, to):\n"
        "    calls.append(1)\n"
        "    if len(calls) == step: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(self, to)\n"
        "Path.rename = rename\n"
        "with w.work_folder('.t.', '', place, place / 't') as work:\n"
        "    (work / 'whole').mkdir(); (work / 'whole' / 'f').write_text('new')\n"
        "    w.replace_folder(work, place / 't')\n"
    )
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "f").write_text("old")
    subprocess.run([sys.executable, "-c", script, str(tmp_path), str(step)], check=False)
    with work_folder(".t.", "", tmp_path, tmp_path / "t"):
        assert (tmp_path / "t" / "f").read_text() == ("old" if step == 1 else "new")
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def with_limit(limit, value, *arguments):
    """Run a command under a limit of the system."""
    before = lambda: resource.setrlimit(limit, (value, value))  # noqa: E731
    # Python keeps bytecode that a limit of files' sizes has cut off, and fails on it later.
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, preexec_fn=before,
        env=env,
    )  # fmt: skip


SMALL = ("run", "w.npz", "x.npy", "--layout", "tf1", "--threads", "1", "-o", "t.h5")


@pytest.mark.parametrize("files_allowed", [6, 9, 16])
def test_too_few_files_are_no_verdict(files, files_allowed):
    found = with_limit(resource.RLIMIT_NOFILE, files_allowed, *SMALL)
    assert found.returncode in (0, 2)
    assert sorted(path.name for path in Path().iterdir() if "t.h5" in path.name) in ([], ["t.h5"])


@pytest.mark.parametrize("size", [0, 512, 4096, 8192, 16_000, 20_000, 24_000])
def test_a_full_disk_leaves_nothing(files, size):
    """A limit to the size of files stands for it: writing fails at that place."""
    found = with_limit(resource.RLIMIT_FSIZE, size, *SMALL)
    assert found.returncode in (0, 2, -signal.SIGXFSZ)
    left = sorted(path.name for path in Path().iterdir() if "t.h5" in path.name)
    assert left == (["t.h5"] if found.returncode == 0 else [])


@pytest.mark.slow
@pytest.mark.parametrize("megabytes", [50, 200, 400, 600, 1200])
def test_little_memory_is_no_verdict(files, megabytes):
    """1 would say that a check failed; a crash of the system's own loader is none of ours."""
    np.save("x.npy", np.zeros((200, 500, 2), "f4"))
    found = with_limit(resource.RLIMIT_AS, megabytes * 2**20, *SMALL, "--quiet")
    assert found.returncode != 1, found.stderr


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (MemoryError("Unable to allocate 8 GiB"), "The memory is not enough."),
        (RuntimeError("can't start new thread"), "The system allows no more threads."),
        (OSError(28, "No space left on device"), "There is no room to write to."),
        (OSError(24, "Too many open files", "x"), "The system allows no more open files."),
        (PermissionError(13, "no", "x"), "The system refused to read or write a file."),
    ],
)  # fmt: skip
def test_what_the_system_refuses_has_a_name(error, what):
    found = named(error)
    assert found is not None
    assert found.what == what


def test_a_bug_is_no_refusal():
    assert named(RuntimeError("something else")) is None
    assert named(ValueError("x")) is None


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="the system has no device that is always full")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (SMALL, 2),
        (("inspect", "w.npz", "--layout", "tf1"), 2),
        (("--help",), 2),
        ((*SMALL, "--quiet"), 0),
    ],
)
def test_a_full_stdout_is_said(files, arguments, code):
    with FULL.open("w") as full:
        found = subprocess.run(
            [*COMMAND, *arguments], stdout=full, stderr=-1, text=True, check=False
        )
    assert found.returncode == code
    assert bool(found.stderr) == bool(code)
    assert "Traceback" not in found.stderr
    if arguments == SMALL:
        assert "files that the command writes are written" in found.stderr
        assert Path("t.h5").is_file()


@pytest.mark.skipif(not FULL.exists(), reason="the system has no device that is always full")
@pytest.mark.parametrize("arguments", [("inspect", "nothing"), ("run",), SMALL])
def test_a_full_stderr_is_no_verdict(files, arguments):
    with FULL.open("w") as full:
        found = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=full, check=False)
    assert found.returncode == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
@pytest.mark.parametrize(
    "arguments",
    [
        "inspect odd", "run w.npz odd --layout tf1 -o o.h5", "check odd", "diff odd odd",
        "check --suite odd", "export odd --to torch -o o.npz", "pool odd --method mean",
        "rerun odd", "check --outputs odd", "run w.npz x.npy --layout tf1 -o o.h5 --lengths odd",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_refused_at_once(files, rnnscope, arguments, kind):
    if kind == "pipe":
        os.mkfifo("odd")
    else:
        Path("odd").symlink_to("/dev/zero")
    found = rnnscope(*arguments.split())
    assert found.code == 2
    assert "Traceback" not in found.stderr
