"""Ops that a sequence comes through: where it begins, what dresses it otherwise, what turns it."""

from __future__ import annotations

INPUT_OPS = {"Placeholder", "PlaceholderWithDefault", "PlaceholderV2"}
QUEUE_OPS = {"IteratorGetNext", "QueueDequeueV2", "QueueDequeueManyV2", "QueueDequeueUpToV2",
             "ParseExample", "ParseSingleExample", "OneShotIterator"}  # fmt: skip

# The same sequence in another dress: the position of the input that holds it.
DRESSED = {
    "Transpose": 0,
    "Reshape": 0,
    "ExpandDims": 0,
    "Squeeze": 0,
    "Unpack": 0,
    "Unstack": 0,
    "Split": 1,
    "SplitV": 0,
    "StridedSlice": 0,
    "Slice": 0,
    "TensorListStack": 0,
    "TensorListFromTensor": 0,
    "TensorListGetItem": 0,
    "TensorListSetItem": 2,
    "TensorArrayReadV3": 2,
    "TensorArrayReadV2": 2,
    "TensorArrayRead": 2,
    "TensorArrayScatterV3": 2,
    "TensorArrayScatterV2": 2,
    "TensorArrayUnpack": 1,
    "TensorArraySplitV3": 1,
    "TensorArrayGatherV3": 2,
    "TensorArrayGatherV2": 2,
    "TensorArrayConcatV3": 1,
    "TensorArrayPack": 1,
    "TensorArrayWriteV3": 2,
    "TensorArrayWriteV2": 2,
    "TensorArrayWrite": 2,
}
EMPTY = {"TensorArrayV3", "TensorArrayV2", "TensorArray", "TensorListReserve", "EmptyTensorList"}
"""Lists before anything is written into them: no source of a sequence."""

REVERSES = {"Reverse", "ReverseV2"}
GATHERS = {"Gather", "GatherV2", "ResourceGather"}
MAX_STEPS = 20_000
"""Steps of one walk before it is given up: an unrolled graph of thousands of steps fits."""
