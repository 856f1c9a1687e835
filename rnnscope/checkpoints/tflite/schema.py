"""The tables of a TensorFlow Lite file, as far as its graph and its numbers need them.

References
----------
tensorflow/lite/schema/schema.fbs, version 3. A test compares every line with TensorFlow's own.
"""

from __future__ import annotations

from rnnscope.files.messages.flat_tables import FlatSchema

IDENTIFIER = b"TFL3"
"""Bytes 4 to 8 of every such file."""

TEXT = """
Model
  version=0 uint32  operator_codes=1 *OperatorCode  subgraphs=2 *SubGraph  description=3 string
  buffers=4 *Buffer
OperatorCode
  deprecated_builtin_code=0 int8  custom_code=1 string  version=2 int32:1  builtin_code=3 int32
SubGraph
  tensors=0 *Tensor  inputs=1 *int32  outputs=2 *int32  operators=3 *Operator  name=4 string
Buffer
  data=0 *uint8  offset=1 uint64  size=2 uint64
Tensor
  shape=0 *int32  type=1 int8  buffer=2 uint32  name=3 string
  quantization=4 QuantizationParameters  is_variable=5 bool  sparsity=6 SparsityParameters
  shape_signature=7 *int32  external_buffer=10 uint32
QuantizationParameters
  scale=2 *float  zero_point=3 *int64  details_type=4 uint8  quantized_dimension=6 int32
SparsityParameters
  traversal_order=0 *int32
Operator
  opcode_index=0 uint32  inputs=1 *int32  outputs=2 *int32  builtin_options_type=3 uint8
  builtin_options=4 union  intermediates=8 *int32  builtin_options_2_type=11 uint8
UnidirectionalSequenceLSTMOptions
  fused_activation_function=0 int8  cell_clip=1 float  proj_clip=2 float  time_major=3 bool
  asymmetric_quantize_inputs=4 bool  diagonal_recurrent_tensors=5 bool
BidirectionalSequenceLSTMOptions
  fused_activation_function=0 int8  cell_clip=1 float  proj_clip=2 float  merge_outputs=3 bool
  time_major=4 bool:1  asymmetric_quantize_inputs=5 bool
SequenceRNNOptions
  time_major=0 bool  fused_activation_function=1 int8  asymmetric_quantize_inputs=2 bool
FullyConnectedOptions
  fused_activation_function=0 int8  weights_format=1 int8  keep_num_dims=2 bool
  asymmetric_quantize_inputs=3 bool
ConcatenationOptions
  axis=0 int32  fused_activation_function=1 int8
AddOptions
  fused_activation_function=0 int8
SubOptions
  fused_activation_function=0 int8
MulOptions
  fused_activation_function=0 int8
DivOptions
  fused_activation_function=0 int8
ReshapeOptions
  new_shape=0 *int32
SoftmaxOptions
  beta=0 float
GatherOptions
  axis=0 int32  batch_dims=1 int32
StridedSliceOptions
  begin_mask=0 int32  end_mask=1 int32  ellipsis_mask=2 int32  new_axis_mask=3 int32
  shrink_axis_mask=4 int32  offset=5 bool
SplitOptions
  num_splits=0 int32
PackOptions
  values_count=0 int32  axis=1 int32
UnpackOptions
  num=0 int32  axis=1 int32
SqueezeOptions
  squeeze_dims=0 *int32
ReducerOptions
  keep_dims=0 bool
BatchMatMulOptions
  adj_x=0 bool  adj_y=1 bool  asymmetric_quantize_inputs=2 bool
WhileOptions
  cond_subgraph_index=0 int32  body_subgraph_index=1 int32
IfOptions
  then_subgraph_index=0 int32  else_subgraph_index=1 int32
ReverseSequenceOptions
  seq_dim=0 int32  batch_dim=1 int32
LeakyReluOptions
  alpha=0 float
VarHandleOptions
  container=0 string  shared_name=1 string
CallOnceOptions
  init_subgraph_index=0 int32
Conv2DOptions
  padding=0 int8  stride_w=1 int32  stride_h=2 int32  fused_activation_function=3 int8
  dilation_w_factor=4 int32:1  dilation_h_factor=5 int32:1
DepthwiseConv2DOptions
  padding=0 int8  stride_w=1 int32  stride_h=2 int32  depth_multiplier=3 int32
  fused_activation_function=4 int8  dilation_w_factor=5 int32:1  dilation_h_factor=6 int32:1
Pool2DOptions
  padding=0 int8  stride_w=1 int32  stride_h=2 int32  filter_width=3 int32  filter_height=4 int32
  fused_activation_function=5 int8
"""

OPTIONS = {
    1: "Conv2DOptions", 2: "DepthwiseConv2DOptions", 5: "Pool2DOptions",
    8: "FullyConnectedOptions", 9: "SoftmaxOptions", 10: "ConcatenationOptions", 11: "AddOptions",
    17: "ReshapeOptions", 21: "MulOptions", 23: "GatherOptions", 27: "ReducerOptions",
    28: "SubOptions", 29: "DivOptions", 30: "SqueezeOptions", 31: "SequenceRNNOptions",
    32: "StridedSliceOptions", 35: "SplitOptions", 59: "PackOptions", 64: "UnpackOptions",
    69: "BidirectionalSequenceLSTMOptions", 71: "UnidirectionalSequenceLSTMOptions",
    75: "LeakyReluOptions", 87: "ReverseSequenceOptions", 92: "IfOptions",
    93: "WhileOptions", 101: "BatchMatMulOptions",
    103: "CallOnceOptions", 111: "VarHandleOptions",
}  # fmt: skip
"""Kinds of BuiltinOptions that are read."""

SCHEMA = FlatSchema(TEXT, OPTIONS)

_OPERATORS = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6
RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL
CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE
BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST
PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN
TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW
ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK
REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR
LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS
WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM
BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG
REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL
BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD
UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR
RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM
STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM
STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS
STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG
STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER
STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER
STABLEHLO_COMPARE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE
STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT
STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR
REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
"""

OPERATORS = tuple(_OPERATORS.split())
"""BuiltinOperator, by number."""

PLACEHOLDER = 127
"""In the old one-byte field: the operator is in the new one."""

ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")
"""ActivationFunctionType, by number."""

FLOAT32, STRING, RESOURCE, VARIANT = 0, 5, 13, 14

DTYPES = {
    FLOAT32: "<f4", 1: "<f2", 2: "<i4", 3: "<u1", 4: "<i8", 6: "?", 7: "<i2", 9: "<i1", 10: "<f8",
    12: "<u8", 15: "<u4", 16: "<u2",
}  # fmt: skip
"""TensorType to the dtype of the stored bytes, little-endian."""
