"""rnnscope looks inside a saved recurrent network: c and m of every timestep, from data alone.

    model = rnnscope.open_model("model.ckpt")
    trace = rnnscope.run("model.ckpt", x, lengths=[10, 6])
    trace.layers["rnn/lstm_cell"].c[1, :6]

Everything is imported when it is used, so that ``import rnnscope`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from rnnscope.api.check import check
    from rnnscope.api.conform import conform, conform_cases
    from rnnscope.api.convert import convert
    from rnnscope.api.diff import diff
    from rnnscope.api.explain import explain
    from rnnscope.api.export import export
    from rnnscope.api.join import join
    from rnnscope.api.limits import limits
    from rnnscope.api.model import Model, open_model
    from rnnscope.api.plot import plot
    from rnnscope.api.pool import pool
    from rnnscope.api.report import write_report
    from rnnscope.api.run import plan, rerun, run, run_part, run_several
    from rnnscope.api.show import show
    from rnnscope.api.trace import StateTrace, open_trace
    from rnnscope.api.vectors import check_vectors, write_vectors
    from rnnscope.api.view import view
    from rnnscope.errors import RnnscopeError
    from rnnscope.record.recipes.recipe import Recipe
    from rnnscope.report.json_schemas import report_schema

_HOMES = {
    "Model": "rnnscope.api.model",
    "Recipe": "rnnscope.record.recipes.recipe",
    "RnnscopeError": "rnnscope.errors",
    "StateTrace": "rnnscope.api.trace",
    "check": "rnnscope.api.check",
    "conform": "rnnscope.api.conform",
    "conform_cases": "rnnscope.api.conform",
    "check_vectors": "rnnscope.api.vectors",
    "convert": "rnnscope.api.convert",
    "diff": "rnnscope.api.diff",
    "explain": "rnnscope.api.explain",
    "export": "rnnscope.api.export",
    "join": "rnnscope.api.join",
    "limits": "rnnscope.api.limits",
    "open_model": "rnnscope.api.model",
    "open_trace": "rnnscope.api.trace",
    "plan": "rnnscope.api.run",
    "plot": "rnnscope.api.plot",
    "pool": "rnnscope.api.pool",
    "report_schema": "rnnscope.report.json_schemas",
    "rerun": "rnnscope.api.run",
    "run": "rnnscope.api.run",
    "run_part": "rnnscope.api.run",
    "run_several": "rnnscope.api.run",
    "show": "rnnscope.api.show",
    "view": "rnnscope.api.view",
    "write_report": "rnnscope.api.report",
    "write_vectors": "rnnscope.api.vectors",
}
"""Where each public name is defined."""

__all__ = [  # noqa: RUF022  # in the order of work
    "open_model",
    "run",
    "run_several",
    "run_part",
    "join",
    "plan",
    "rerun",
    "open_trace",
    "check",
    "diff",
    "explain",
    "pool",
    "export",
    "convert",
    "conform",
    "conform_cases",
    "write_vectors",
    "check_vectors",
    "show",
    "plot",
    "write_report",
    "view",
    "limits",
    "report_schema",
    "Model",
    "StateTrace",
    "Recipe",
    "RnnscopeError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rnnscope' has no attribute '{name}'")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
