"""Pooling: one value a unit instead of one a timestep, over the valid steps of each sequence.

``rnnscope pool`` plans what is to be pooled (`plan_pool`) and pools it slice by slice
(`pool_trace`) into a sink: a trace or a file of arrays.
"""

from rnnscope.pooling.methods import POOLINGS
from rnnscope.pooling.plan import PoolPlan, plan_pool
from rnnscope.pooling.streaming import pool_trace

__all__ = ["POOLINGS", "PoolPlan", "plan_pool", "pool_trace"]
