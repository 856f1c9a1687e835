"""The main job: from a checkpoint and an input to a trace, layer by layer, slice by slice."""

from rnnscope.running.overrides import LayerOptions, override_options
from rnnscope.running.plan import Plan
from rnnscope.running.planner import plan_run
from rnnscope.running.runner import RunResult, run_plan

__all__ = ["LayerOptions", "Plan", "RunResult", "override_options", "plan_run", "run_plan"]
