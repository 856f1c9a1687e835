"""Input arrays: what a recurrent layer is fed, with lengths, masks and initial states.

`open_input` turns what the user names into an `InputSource`, which reads any slice of sequences as
an `InputBatch`. Arrays are memory-mapped or sliced where the file allows it.
"""

from rnnscope.inputs.opening import open_input
from rnnscope.inputs.source import InputBatch, InputSource

__all__ = ["InputBatch", "InputSource", "open_input"]
