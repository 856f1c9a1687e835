"""Other values of the same variables: moving averages, and other steps of training."""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.explaining.confusions.interface import Confusion, Facts
from rnnscope.explaining.deviations import Deviation


def _variables(facts: Facts) -> Iterator[Deviation]:
    del facts
    return iter(())


CONFUSIONS = (Confusion("variables", _variables),)
