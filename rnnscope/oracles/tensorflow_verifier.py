"""The cross-check: a layer computed once more, by TensorFlow's own kernels.

The states are computed by code that nobody here wrote: the fused op ``BlockLSTM`` for the
TensorFlow 1 family, ``keras.layers.LSTM`` for Keras files. What a kernel cannot express (a
projection, another activation, float64 in BlockLSTM) is computed step by step with TensorFlow's
elementary ops, and the report says so. TensorFlow is imported when a verifier is made, and
nowhere else.
"""

from __future__ import annotations

from dataclasses import replace

from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.states import LayerStates
from rnnscope.oracles.differences import Largest
from rnnscope.oracles.layer_verifier import LayerRun, LayerVerifier
from rnnscope.oracles.tensorflow_kernels import Result, Task

SINGLE = "single steps (rounding errors grow in a whole run)"
"""Said where a whole run is beyond the limit, but every single step is within it.

Each step is then computed again from the state that rnnscope stored before it, so that rounding
errors cannot add up: steps that are all right make a run that is right.
"""


def _differences(result: Result, states: LayerStates, *, wrapped: bool) -> dict[str, Largest]:
    """By state: how far a result is off."""
    ours = {**states.states, "outputs": states.outputs}
    return {
        **{
            name: Largest.of(result.kernel, ours[name], theirs)
            for name, theirs in result.steps.items()
            # The kernels know cells only: what a wrapper makes of m is not theirs to verify.
            if not (wrapped and name == "outputs")
        },
        **{
            f"final {name}": Largest.of(result.kernel, states.final[name], theirs)
            for name, theirs in result.final.items()
        },
    }


class TensorFlowVerifier(LayerVerifier):
    """Computes layers again with TensorFlow."""

    framework = "tensorflow"
    expected = "an LSTM"

    def beyond(self, layer: RecurrentLayer) -> str:
        """The kind of a cell that is no LSTM; empty for one that is."""
        return "" if layer.cell.kind == "lstm" else layer.cell.kind

    def differences(self, run: LayerRun) -> dict[str, Largest]:
        """By state: how far it is off, of a whole run or else of its single steps."""
        layer, wrapped = run.layer, bool(run.layer.wrapper)
        task = Task(self._module, run.name, layer, run.x, run.mask, run.initial)
        found = _differences(task.compute(), run.states, wrapped=wrapped)
        if all(entry.ok for entry in found.values()):
            return found
        again = task.compute_single_steps(run.states.states)
        again = replace(again, kernel=f"{again.kernel}, {SINGLE}")
        single = _differences(again, run.states, wrapped=wrapped)
        # Where a step is wrong by itself, the whole run is what should be looked at.
        return single if all(entry.ok for entry in single.values()) else found
