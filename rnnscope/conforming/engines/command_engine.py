"""Any program as an engine: a case in on its stdin as a line of JSON, an answer out on stdout.

The program is started once and given one case after another. If it ends, it is started again for
the next case, so that one that answers a single case works as well, and a crash costs one case.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any, ClassVar

from rnnscope.conforming.case import Answer, Case
from rnnscope.conforming.documents import answer_document, answer_of, case_line
from rnnscope.conforming.engines.interface import Failed
from rnnscope.errors import EngineError, OptionError

LONGEST_ANSWER = 256 * 2**20
"""Bytes of a line; the largest right answer has a few hundred kilobytes."""

ERROR_BYTES = 4096
"""Of the end of stderr, to find its last line in."""


class CommandEngine:
    """A program that answers cases.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments; no shell.
    time_limit : float
        Seconds for each case, start-up included.
    """

    gives: ClassVar[str] = "what each answer holds"

    def __init__(self, command: Sequence[str], time_limit: float) -> None:
        if not command or time_limit <= 0:
            raise OptionError(
                "A command needs words, and time.",
                expected="a program and its arguments, and more than 0 seconds for each case",
                found=f"{list(command)}, {time_limit:g} s",
            )
        self._command = list(command)
        self._time_limit = time_limit
        self._program: _Program | None = None
        self.version = " ".join(command)
        self._program = _Program(self._command)  # so that a wrong name is told at once

    def run(self, case: Case) -> Answer:
        """The program's answer to one case."""
        line = self._asked(case_line(case).encode())
        document = self._document(line)
        if document.get("case") != case.name:
            self.close()  # what else it says cannot be told apart any more
        return answer_of(case, document)

    def _document(self, line: bytes) -> dict[str, Any]:
        try:
            return answer_document(line)
        except Failed:
            self.close()  # its lines are no answers, one for each case
            raise

    def _asked(self, line: bytes) -> bytes:
        """The answer's line, of a program that runs or is started."""
        old = self._program
        if old is not None and old.answers and old.ended:
            self.close()
        for _ in range(2):
            if self._program is None:
                self._program = _Program(self._command)
            program = self._program
            try:
                return program.ask(line, self._time_limit)
            except Failed:
                # One that answers a case and ends was still on its way out: it is started anew.
                again = program.answers > 0 and program.ended and program.exit_code == 0
                self.close()
                if not again:
                    raise
        raise Failed("it ended again and again without an answer", "no answer")

    def close(self) -> None:
        """End the program."""
        if self._program is not None:
            self._program.end()
            self._program = None


class _Program:
    def __init__(self, command: list[str]) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end()
        self.answers = 0
        self._in_step = True
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the user's own program, no shell
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise EngineError(
                "The command cannot be started.",
                where=command[0],
                expected="a program to run, and its arguments, behind --",
                found=error.strerror or str(error),
                hint="a script needs its interpreter: -- python engine.py",
            ) from error
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._writer: threading.Thread | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with suppress(ValueError, OSError):  # closed while it waited
            while line := self._process.stdout.readline(LONGEST_ANSWER):
                self._lines.put(line)
        self._lines.put(b"")

    def ask(self, line: bytes, seconds: float) -> bytes:
        """Send a line, and wait for one.

        Raises
        ------
        Failed
            The program ended, or did not answer in time; it is of no more use.
        """
        self._in_step = False
        until = time.monotonic() + seconds
        # A program that does not read must not make us wait beyond the limit.
        self._writer = threading.Thread(target=self._write, args=(line,), daemon=True)
        self._writer.start()
        try:
            answer = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise Failed(
                f"no answer within {seconds:g} s{self._last_words()}", "no answer"
            ) from None
        if not answer:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(max(0.0, until - time.monotonic()))
            raise Failed(f"{self._end_words()}{self._last_words()}", "no answer")
        if not answer.endswith(b"\n") and len(answer) >= LONGEST_ANSWER:
            raise Failed(f"a line of more than {LONGEST_ANSWER} bytes", "no answer")
        self._in_step = True
        self.answers += 1
        return answer

    def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):  # it ended: that is seen where its answer is read
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _end_words(self) -> str:
        code = self._process.poll()
        if code is None:
            return "it closed its stdout without an answer"
        if code < 0:
            with suppress(ValueError):
                return f"it was ended by {signal.Signals(-code).name} without an answer"
        return f"it ended with exit code {code} without an answer"

    def _last_words(self) -> str:
        """The last line of its stderr."""
        with suppress(OSError, ValueError):
            size = self._errors.seek(0, os.SEEK_END)
            self._errors.seek(max(0, size - ERROR_BYTES))
            lines = self._errors.read().decode("utf-8", "replace").split("\n")
            said = [line.strip() for line in lines if line.strip()]
            if said:
                return f"; its stderr: {said[-1][:160]}"
        return ""

    def end(self) -> None:
        """End it, and what it started."""
        if not self._busy(self._writer):
            self._close(self._process.stdin)
            with suppress(subprocess.TimeoutExpired):
                # It reads the end of its stdin; what holds on to the machine is ended.
                self._process.wait(0.5 if self._in_step else 0.05)
        self._kill()
        # A file that a thread still waits at cannot be closed: that would wait as well.
        for thread, stream in (
            (self._writer, self._process.stdin),
            (self._reader, self._process.stdout),
        ):
            if thread is not None:
                thread.join(1)
            if not self._busy(thread):
                self._close(stream)
        self._errors.close()

    @staticmethod
    def _busy(thread: threading.Thread | None) -> bool:
        return thread is not None and thread.is_alive()

    @staticmethod
    def _close(stream: IO[bytes] | None) -> None:
        assert stream is not None
        with suppress(OSError, ValueError):
            stream.close()

    def _kill(self) -> None:
        """End it, and what is left of its group: a child may outlive it and hold its stdout."""
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
