"""How many inputs ops of TensorFlow take at least, for those that are looked at here.

A node with fewer is damaged: no TensorFlow would have written it, and no reader need think of it.

References
----------
TensorFlow's registry of ops (`tensorflow.python.framework.op_def_registry`), 2.21.
"""

from __future__ import annotations

_BY_NUMBER = {
    1: """
        Abs AccumulateNV2 Acos AddN Asin Atan AvgPool AvgPool3D Cast Ceil CheckNumerics Cos Cosh
        DeepCopy Einsum Elu EnsureShape Enter Erf Exit Exp Expm1 Floor Identity If Inv IsFinite
        IsInf IsNan IteratorGetNext L2Loss LeakyRelu Log Log1p LogSoftmax LogicalNot LoopCond
        MaxPool MaxPool3D Merge Neg NextIteration OnesLike Pack ParseSingleExample
        PlaceholderWithDefault PreventGradient Print QueueDequeueV2 RandomStandardNormal
        RandomUniform Rank ReadVariableOp Reciprocal RefEnter RefExit RefIdentity RefMerge
        RefNextIteration Relu Relu6 Rint Round Rsqrt Selu Shape ShapeN Sigmoid Sign Sin Sinh
        Size Snapshot Softmax Softplus Softsign Sqrt Square Squeeze StatelessIf StopGradient Tan
        Tanh TensorArray TensorArrayV2 TensorArrayV3 TensorListLength TopK TruncatedNormal
        Unpack Where ZerosLike
    """,
    2: """
        Add AddV2 All Any ArgMax ArgMin Assign AssignAdd AssignSub AssignVariableOp Atan2
        BatchMatMul BatchMatMulV2 BiasAdd BiasAddV1 BroadcastArgs BroadcastTo Conv2D Conv3D
        Cumsum DepthwiseConv2dNative Div DivNoNan EmptyTensorList Equal ExpandDims Fill FloorDiv
        FloorMod Gather GatherNd Greater GreaterEqual Less LessEqual LogicalAnd LogicalOr MatMul
        Max Maximum Mean Min Minimum MirrorPad Mod Mul MulNoNan NotEqual Pad ParseExample Pow
        Prod QueueDequeueManyV2 QueueDequeueUpToV2 RealDiv RefSwitch Reshape ResourceGather
        Reverse ReverseSequence ReverseV2 Split SquaredDifference StatelessRandomUniform Sub Sum
        Switch TensorArrayConcatV2 TensorArrayConcatV3 TensorArrayPack TensorArraySize
        TensorArraySizeV2 TensorArraySizeV3 TensorListFromTensor TensorListPopBack
        TensorListPushBack TensorListReserve TensorListResize TensorListStack Tile TopKV2
        Transpose TruncateDiv TruncateMod
    """,
    3: """
        ClipByValue Concat ConcatV2 GatherV2 MatrixBandPart PadV2 Range Save ScatterNd Select
        SelectV2 Slice SplitV TensorArrayGatherV2 TensorArrayGatherV3 TensorArrayRead
        TensorArrayReadV2 TensorArrayReadV3 TensorArrayUnpack TensorListConcatV2
        TensorListGather TensorListGetItem TensorListSetItem
    """,
    4: """
        CudnnRNN CudnnRNNV2 OneHot SaveSlices SaveV2 StatelessRandomUniformV2 StridedSlice
        TensorArrayScatterV2 TensorArrayScatterV3 TensorArraySplitV2 TensorArraySplitV3
        TensorArrayWrite TensorArrayWriteV2 TensorArrayWriteV3
    """,
    5: """
        CudnnRNNV3 FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3
    """,
    6: """
        GRUBlockCell
    """,
    8: """
        LSTMBlockCell
    """,
    9: """
        BlockLSTM BlockLSTMV2
    """,
}

LEAST_INPUTS = {op: number for number, ops in _BY_NUMBER.items() for op in ops.split()}
"""By op; what is not there takes any number, or is not known."""
