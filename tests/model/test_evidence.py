"""How a layer is known, in words that every processor prints alike."""

from __future__ import annotations

import pytest

from rnnscope.model.evidence import BY_CONFIGURATION, BY_NAME, EVALUATED, Evidence


@pytest.mark.parametrize(
    ("difference", "bound"),
    [(0.0, "1e-12"), (1e-16, "1e-12"), (2e-13, "1e-12"), (2.1e-13, "1e-11"), (6e-8, "1e-6"),
     (2e-7, "1e-6"), (2.1e-7, "1e-5"), (1e-3, "1e-2")],
)  # fmt: skip
def test_a_difference_is_told_as_a_power_of_ten_above_it(difference, bound):
    assert str(Evidence("proved", 7, difference)) == f"proved on 7 random steps, below {bound}"


def test_what_was_not_proved_says_why():
    assert str(BY_NAME) == "by name"
    assert str(BY_CONFIGURATION) == "by configuration"
    assert str(EVALUATED) == "the graph's own computation, op by op"
    alone = Evidence("proved", 7, 1e-7, "the cell alone: op Foo is not computed")
    assert str(alone).endswith("below 1e-6 (the cell alone: op Foo is not computed)")
    unknown = Evidence("by data flow", detail="op RandomUniform is not computed")
    assert str(unknown) == "by data flow, not proved: op RandomUniform is not computed"


def test_of_several_layers_the_worst_is_told():
    several = [Evidence("proved", 7, 1e-9), Evidence("proved", 3, 6e-8), Evidence("proved", 10)]
    assert Evidence.of_all(several) == Evidence("proved", 3, 6e-8)
    reasons = [Evidence("by data flow", detail=text) for text in ("a", "b", "a")]
    assert Evidence.of_all(reasons).detail == "a; b"
