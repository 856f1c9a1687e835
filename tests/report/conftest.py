"""Reports as the command line prints them: options are flags."""

from __future__ import annotations

import pytest

from rnnscope.cli.spelling import as_flag
from rnnscope.errors import spell_options


@pytest.fixture(autouse=True)
def _flags():
    spell_options(as_flag)
    yield
    spell_options()
