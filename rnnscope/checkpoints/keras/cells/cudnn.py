"""cuDNN's layout of weights, as Keras' CuDNNLSTM and CuDNNGRU store it, turned into Keras' own.

References
----------
``_convert_rnn_weights`` in `keras/engine/saving.py` of Keras 2.2.4: the shapes are those of an
LSTM or GRU, but each gate's block of the kernels is transposed (that of the input also reshaped
in Fortran's order), and two biases lie one after the other.
"""

from __future__ import annotations

import numpy as np

from rnnscope.model.cell import Array


def from_cudnn(kernel: Array, recurrent: Array, bias: Array, gates: int) -> tuple[Array, ...]:
    """Undo cuDNN's layout.

    Parameters
    ----------
    kernel : ndarray (input, gates·units)
    recurrent : ndarray (units, gates·units)
    bias : ndarray (2·gates·units,)
        That of the input, then that of the state.
    gates : int
        4 for an LSTM, 3 for a GRU.

    Returns
    -------
    tuple of ndarray
        kernel, recurrent kernel, and the biases as (2, gates·units).
    """
    kernels = [block.T.reshape(block.shape, order="F") for block in np.split(kernel, gates, axis=1)]
    recurrents = [block.T for block in np.split(recurrent, gates, axis=1)]
    return np.concatenate(kernels, axis=1), np.concatenate(recurrents, axis=1), bias.reshape(2, -1)
