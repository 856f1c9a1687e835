"""What options take, and what they refuse."""

import pytest

from rnnscope.options.kinds import bytes_of


@pytest.mark.parametrize(
    ("text", "size"),
    [("256MB", 256 * 10**6), ("1GiB", 2**30), ("1.5 kb", 1500), (" 77 ", 77), ("2mib", 2**21)],
)
def test_memory_is_given_with_its_unit(text, size):
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "0", "1XB", "1e6", "nan"])
def test_memory_that_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="a size such as 256MB"):
        bytes_of(text)
