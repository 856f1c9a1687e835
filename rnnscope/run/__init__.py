"""The main job: from a checkpoint and an input to a trace, layer by layer, slice by slice."""

from rnnscope.run.overrides import LayerOptions, override_options
from rnnscope.run.plan import Plan, plan_run
from rnnscope.run.runner import RunResult, run_plan

__all__ = ["LayerOptions", "Plan", "RunResult", "override_options", "plan_run", "run_plan"]
