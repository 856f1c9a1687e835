"""The plain layers around a recurrent one, computed in numpy with Keras' mask rules.

Each is a frozen dataclass that implements `rnnscope.model.signal.Layer`: `Signal`s in, one
`Signal` out, in the dtype that came in. They exist so that the input of a recurrent layer can be
computed from the model's own input; what is not here is an `Unsupported` node, never executed.
"""

from rnnscope.model.layers.graph_front import GraphFront, IdsAsFeatures
from rnnscope.model.layers.masks import Embedding, Masking, StoredMask
from rnnscope.model.layers.merges import BidirectionalMerge, Merge
from rnnscope.model.layers.operations import GetItem, Join, Operation
from rnnscope.model.layers.plain import (
    Activation,
    ArgMax,
    BatchNormalization,
    Dense,
    LayerNormalization,
    MaskedSoftmax,
    PassThrough,
    Rescaling,
    TimeDistributed,
)
from rnnscope.model.layers.shapes import Flatten, LastOutput, Permute, RepeatVector, Reshape
from rnnscope.model.layers.unsupported import Unsupported

__all__ = [
    "Activation",
    "ArgMax",
    "BatchNormalization",
    "BidirectionalMerge",
    "Dense",
    "Embedding",
    "Flatten",
    "GetItem",
    "GraphFront",
    "IdsAsFeatures",
    "Join",
    "LastOutput",
    "LayerNormalization",
    "MaskedSoftmax",
    "Masking",
    "Merge",
    "Operation",
    "PassThrough",
    "Permute",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "StoredMask",
    "TimeDistributed",
    "Unsupported",
]
