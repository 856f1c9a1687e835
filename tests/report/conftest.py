"""Reports as the command line prints them: options are flags."""

from __future__ import annotations

import pytest

from rnnscope.cli.spelling import AS_COMMAND_LINE
from rnnscope.errors import spell_as


@pytest.fixture(autouse=True)
def _flags():
    spell_as(AS_COMMAND_LINE)
    yield
    spell_as()
