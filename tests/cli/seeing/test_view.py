"""``rnnscope view``: its address on stdout, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from urllib.request import urlopen

import pytest
from seen_traces import waves, write_trace


@pytest.fixture
def trace(tmp_path):
    return write_trace(tmp_path / "t.h5", waves(1, 6, 4))


# Whoever runs the tests in the background has their children ignore Ctrl-C.
HEED = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"


def test_it_serves_until_ctrl_c_and_ends_well(trace):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    code = f"{HEED}; from rnnscope.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code, "view", trace, "--no-browser"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    ) as running:  # fmt: skip
        try:
            address = running.stdout.readline().strip()
            assert running.stdout.readline() == "Ctrl-C stops it.\n"
            with urlopen(address, timeout=30) as answer:  # noqa: S310  # our own loopback
                assert answer.read(15) == b"<!doctype html>"
            running.send_signal(signal.SIGINT)
            stdout, stderr = running.communicate(timeout=30)
        finally:
            running.kill()  # a server that did not end would be waited for without end
    assert (running.returncode, stdout, stderr) == (0, "\nstopped\n", "")


def test_ctrl_c_ends_it_well_while_a_browser_opens(rnnscope, trace, monkeypatch):
    import webbrowser

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(webbrowser, "open", interrupted)
    done = rnnscope("view", trace)
    assert (done.code, done.stdout.splitlines()[-1], done.stderr) == (0, "stopped", "")


def test_a_browser_is_opened_unless_there_is_none(rnnscope, trace, monkeypatch):
    import webbrowser

    from rnnscope.seeing.page.server import PageServer

    def stop(_):
        raise KeyboardInterrupt

    asked = []
    monkeypatch.setattr(PageServer, "wait", stop)
    monkeypatch.setattr(webbrowser, "open", lambda address: bool(asked.append(address)))
    done = rnnscope("view", trace)
    assert done.code == 0
    assert asked == done.stdout.splitlines()[:1]
    assert done.stderr == "No browser was found: open the address in one.\n"


def test_what_cannot_be_read_is_an_error(rnnscope, tmp_path, trace):
    assert rnnscope("view", tmp_path / "none.h5").code == 2
    done = rnnscope("view", trace, "--layer", "nothing")
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: No layer fits.\n")
