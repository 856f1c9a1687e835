"""For the tests of the API."""

from __future__ import annotations

import pytest


@pytest.fixture
def rnnscope_command(capfd):
    """What a command prints on stdout."""
    from rnnscope.cli.main import run

    def call(*arguments):
        capfd.readouterr()
        run([str(argument) for argument in arguments])
        return capfd.readouterr().out

    return call
