"""For tests: assertions on states and weights; for pytest a fixture that runs a checkpoint.

The assertions need no pytest. pytest loads this by itself where rnnscope is installed, and then a
failure shows the lines of the error alone.

    def test_port(rnnscope_run):
        trace = rnnscope_run("model.ckpt", "inputs.npz", gates=True)
        assert_all_checks_pass(trace)
        assert_states_close(trace, "reference.npz", atol=1e-6)
"""

from __future__ import annotations

from rnnscope.testing.assertions import (
    assert_all_checks_pass,
    assert_last_output_is_m,
    assert_states_close,
)

__all__ = ["assert_all_checks_pass", "assert_last_output_is_m", "assert_states_close"]

try:
    from rnnscope.testing.plugin import (
        pytest_addoption,
        pytest_runtest_makereport,
        rnnscope_run,
    )
except ModuleNotFoundError as error:
    if error.name != "pytest":
        raise
else:
    __all__ += ["pytest_addoption", "pytest_runtest_makereport", "rnnscope_run"]
