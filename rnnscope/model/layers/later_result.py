"""What a stored graph computes behind its recurrent layers, evaluated as it stands."""

from __future__ import annotations

from collections.abc import Callable

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError
from rnnscope.model.cell import Array
from rnnscope.model.ops import EvaluationError
from rnnscope.model.signal import Layer, Signal


@dataclass(frozen=True, eq=False)
class LaterResult(Layer):
    """From what recurrent layers return to what the model returns.

    Attributes
    ----------
    name : str
        The value that is computed, as the graph names it.
    function : callable
        ``function(signals) -> values``: of layers' outputs over time, (sequence, timestep, width)
        each, values (sequence, timestep, width) or (sequence, width). Sequences do not depend on
        each other.
    kind : str
        The ops on the way, for people: ``"MatMul, Add, Softmax"``.
    of_each_step : bool
        Whether a timestep of the result is made of that timestep alone.
    """

    name: str
    function: Callable[[tuple[Signal, ...]], Array]
    kind: str = "graph ops"
    of_each_step: bool = False

    @property
    def step_by_step(self) -> bool:
        return self.of_each_step

    def __call__(self, *signals: Signal) -> Signal:
        """Compute it; a mask passes where the number of timesteps stays.

        Raises
        ------
        InputError
            The graph cannot take outputs of these shapes.
        """
        try:
            values = self.function(signals)
        except EvaluationError as error:
            raise InputError(
                "What stands behind the layers cannot be computed for this input.",
                where=self.name,
                expected="outputs that the model's graph takes",
                found=f"{', '.join(str(signal.values.shape) for signal in signals)}: {error}",
                hint="the model may have been exported for one size of input alone",
            ) from error
        mask = signals[0].mask
        kept = mask is not None and values.ndim > 2 and values.shape[:2] == mask.shape
        return Signal(values, mask if kept else None)
