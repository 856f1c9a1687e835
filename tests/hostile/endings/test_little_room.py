"""Disks that are full, read-only or others; few open files, little memory; two writers at once."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="limits and mounts of POSIX"),
]

SCRIPT = Path(__file__).with_name("on_small_disk.py")
COMMAND = (sys.executable, "-m", "rnnscope")


def may_mount():
    """Whether this system lets a user mount for a process of their own."""
    if shutil.which("unshare") is None:
        return False
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@pytest.fixture
def traces(files, rnnscope):
    """``t.h5`` and ``other.h5``, which differ."""
    for name, bias in (("t.h5", "1"), ("other.h5", "0")):
        command = f"run w.npz x.npy --layout tf1 --quiet --override --forget-bias {bias} -o {name}"
        assert rnnscope(*command.split()).code == 0
    return files


KILOBYTES = ("4", "8", "12", "20", "32", "48", "64", "96", "160", "4000")


@pytest.mark.skipif(not may_mount(), reason="the system lets nobody mount a small disk")
def test_on_a_small_disk_files_are_whole_or_as_before(traces):
    """Of every size in one process, which runs what has room once."""
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, str(SCRIPT), str(traces), *KILOBYTES],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


WRITERS = [
    "run {0}/w.npz {0}/x.npy --layout tf1 -o {1}t.h5", "export {0}/t.h5 --to arrays -o {1}a.npz",
    "export {0}/t.h5 --to arrays -o {1}folder", "pool {0}/t.h5 --method mean -o {1}p.npz",
    "check {0}/t.h5 --junit {1}j.xml", "report {0}/t.h5 -o {1}p.html",
    "plot {0}/t.h5 -o {1}p.png", "explain {0}/t.h5 {0}/other.h5 -o {1}e.json",
]  # fmt: skip


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="no folder that even root cannot use")
@pytest.mark.parametrize("command", WRITERS)
def test_where_nobody_may_write(traces, rnnscope, command):
    """The kernel's own file system takes no new files, from root neither."""
    found = rnnscope(*command.format(traces, "/sys/kernel/").split())
    assert found.code == 2
    assert "/sys/kernel" in found.stderr
    assert "Traceback" not in found.stderr


MEMORY = Path("/dev/shm")  # a file system of its own on Linux


@pytest.mark.skipif(not os.access(MEMORY, os.W_OK), reason="no second file system to write to")
@pytest.mark.parametrize("command", WRITERS)
def test_on_another_file_system(traces, rnnscope, command):
    """Nothing is made in one place and renamed into another."""
    place = MEMORY / f"rnnscope-test-{os.getpid()}"
    place.mkdir()
    try:
        assert os.stat(place).st_dev != traces.stat().st_dev  # noqa: PTH116
        found = rnnscope(*command.format(traces, f"{place}/").split())
        assert found.code in (0, 1), found.stderr
        assert [path.name for path in place.iterdir()] == [command.rpartition("}")[2]]
    finally:
        shutil.rmtree(place)


def limited_to(limit, value, *arguments):
    """Run a command under a limit of the system."""
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(limit, (value, value)),
    )  # fmt: skip


READERS = ["check t.h5 --recompute", "diff t.h5 other.h5", "export t.h5 --to torch -o h.npz"]


@pytest.mark.parametrize("command", READERS)
def test_few_open_files_are_no_verdict(traces, command):
    whole = limited_to(resource.RLIMIT_NOFILE, 64, *command.split())
    for allowed in (5, 7, 8, 10, 12):
        Path("h.npz").unlink(missing_ok=True)
        found = limited_to(resource.RLIMIT_NOFILE, allowed, *command.split())
        assert (found.returncode, found.stdout) == (whole.returncode, whole.stdout) or (
            found.returncode == 2 and not Path("h.npz").exists()
        ), allowed


@pytest.mark.parametrize("megabytes", [60, 100, 150, 250, 350, 450, 550])
@pytest.mark.parametrize("command", READERS)
def test_little_memory_is_no_verdict(traces, command, megabytes):
    """1 is what `diff` says of these two; what crashes in the system's loader is no exit code."""
    found = limited_to(resource.RLIMIT_AS, megabytes * 2**20, *command.split())
    right = 1 if command.startswith("diff") else 0
    if found.returncode != right:
        assert found.returncode != 1, found.stderr
        assert not Path("h.npz").exists()
    elif right == 1:
        assert "beyond" in found.stdout


def at_once(*commands):
    """Start them together; their exit codes and what they said."""
    running = [
        subprocess.Popen([*COMMAND, *command.split()], stdout=-1, stderr=-1, text=True)
        for command in commands
    ]
    return [(process.communicate()[1], process.returncode) for process in running]


@pytest.mark.parametrize("force", ["", " --force"])
def test_two_runs_into_one_trace(traces, read_trace, force):
    """One is told that another writes, or that it exists; the trace is one of the two, whole."""
    np.save("long.npy", np.ones((300, 20, 2), "f4"))
    way = f"run w.npz long.npy --layout tf1 --override --memory 1KB --quiet{force}"
    for number, bias in enumerate("01"):
        done = at_once(f"{way} --forget-bias {bias} -o alone{number}.h5")
        assert done[0][1] == 0, done
    both = at_once(*(f"{way} --forget-bias {bias} -o both.h5" for bias in "01"))
    codes = [code for _, code in both]
    assert 0 in codes
    assert all(
        code == 0 or "Another run is writing" in said or "exists already" in said
        for said, code in both
    ), both
    found = read_trace("both.h5")
    assert any(
        all(np.array_equal(found[key], array) for key, array in read_trace(f"alone{n}.h5").items())
        for n in (0, 1)
    )
    assert not list(Path().glob(".both*"))


@pytest.mark.parametrize(
    "command",
    [
        "export {} --to arrays -o out --force", "export {} --to arrays -o out.npz --force",
        "report {} -o out.html --force", "pool {} --method mean -o out.npz --force",
    ],
)  # fmt: skip
def test_two_writers_of_one_target(traces, command):
    """Each in a work folder of its own, which the other does not sweep away."""
    done = at_once(*(command.format(name) for name in ("t.h5", "other.h5", "t.h5", "other.h5")))
    assert [code for _, code in done] == [0, 0, 0, 0], done
    target = Path(command.split("-o ")[1].split()[0])
    assert target.is_dir() or target.stat().st_size > 300
    assert not list(Path().glob(".out*"))


def test_two_that_pool_into_one_trace(traces):
    """None loses what the other wrote without saying so."""
    done = at_once("pool t.h5 --method mean --force", "pool t.h5 --method max --force")
    with h5py.File("t.h5") as file:
        held = {*file["pooled/rnn/lstm_cell/m"]} - {"output", "unit"}
        assert file.attrs["complete"] == 1
    for (said, code), method in zip(done, ("mean", "max"), strict=True):
        assert (method in held) == (code == 0), (held, said)
    assert not list(Path().glob(".t.h5*"))
