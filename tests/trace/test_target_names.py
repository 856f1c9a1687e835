"""What a trace is called where nobody says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnscope.trace.target import trace_beside


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("a/x.npz", "a/x.trace.h5"),
        ("a/x.h5::/y", "a/x.trace.h5"),
        ("-", "stdin.trace.h5"),
        ("s3://bucket/x.npz", "x.trace.h5"),
        # Refused as an input in a moment: what is said is said of the input.
        ("http://host/x.npz", "x.trace.h5"),
    ],
)
def test_it_is_called_as_the_input_and_lies_beside_it(given, name):
    assert trace_beside(given) == Path(name)
