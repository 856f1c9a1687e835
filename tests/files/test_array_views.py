"""Views of arrays: parts of one that is turned or cut as it is read."""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.files.arrays.array_views import Reversed
from rnnscope.files.arrays.stored_array import LoadedArray


@pytest.mark.parametrize("lengths", [[3, 1], [7, 1]])
def test_time_is_turned_within_lengths_that_may_be_of_another_array(lengths):
    """What has fewer steps than a length says is turned as a whole."""
    values = np.arange(12.0).reshape(2, 3, 2)
    found = Reversed(LoadedArray(values), np.array(lengths)).read()
    np.testing.assert_array_equal(found[0], values[0, ::-1])
    np.testing.assert_array_equal(found[1], values[1])
