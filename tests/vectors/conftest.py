"""Vectors of small models, written once for all tests of a process."""

from __future__ import annotations

import pytest
from vectors.models import writer


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """``written(model, **options)``: the folder of vectors of a small model, and its document."""
    return writer(tmp_path_factory)
