"""Input arrays: what a recurrent layer is fed, with lengths, masks and initial states.

`open_input` turns what the user names into an `InputSource`, which reads any slice of sequences and
timesteps as an `InputBatch`. Of files that allow it only that slice enters memory.
"""

from rnnscope.inputs.batch import InputBatch, last_input_step
from rnnscope.inputs.opening import open_input
from rnnscope.inputs.source import InputSource

__all__ = ["InputBatch", "InputSource", "last_input_step", "open_input"]
