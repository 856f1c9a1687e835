"""Core ML's protocol messages, as far as recurrent layers need them.

References
----------
coremltools, mlmodel/format/Model.proto, FeatureTypes.proto, MIL.proto and NeuralNetwork.proto;
coremltools 9.0. A test compares every line with what coremltools' own messages say.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnscope.errors import CheckpointError
from rnnscope.files.messages.proto_table import MessageTable
from rnnscope.files.messages.slim_messages import Held, parse_file

PACKAGE = "coreml"

MODEL = """
Model
  specificationVersion=1 int32  description=2 ModelDescription
  pipelineClassifier=200 PipelineClassifier:Type  pipelineRegressor=201 PipelineRegressor:Type
  pipeline=202 Pipeline:Type  neuralNetworkRegressor=303 NeuralNetworkRegressor:Type
  neuralNetworkClassifier=403 NeuralNetworkClassifier:Type  neuralNetwork=500 NeuralNetwork:Type
  mlProgram=502 Program:Type
Pipeline
  models=1 *Model  names=2 *string
PipelineClassifier
  pipeline=1 Pipeline
PipelineRegressor
  pipeline=1 Pipeline
ModelDescription
  input=1 *FeatureDescription  output=10 *FeatureDescription  defaultFunctionName=21 string
  metadata=100 Metadata
Metadata
  userDefined=100 {string}
FeatureDescription
  name=1 string  type=3 FeatureType
FeatureType
  multiArrayType=5 ArrayFeatureType:Type  isOptional=1000 bool
ArrayFeatureType
  shape=1 *int64  dataType=2 int32
  enumeratedShapes=21 ArrayFeatureType.EnumeratedShapes:ShapeFlexibility
  shapeRange=31 ArrayFeatureType.ShapeRange:ShapeFlexibility
ArrayFeatureType.Shape
  shape=1 *int64
ArrayFeatureType.EnumeratedShapes
  shapes=1 *ArrayFeatureType.Shape
ArrayFeatureType.ShapeRange
  sizeRanges=1 *SizeRange
SizeRange
  lowerBound=1 uint64  upperBound=2 int64
"""

PROGRAM = """
Program
  version=1 int64  functions=2 {Function}
Function
  inputs=1 *NamedValueType  opset=2 string  block_specializations=3 {Block}
Block
  inputs=1 *NamedValueType  outputs=2 *string  operations=3 *Operation
Argument
  arguments=1 *Argument.Binding
Argument.Binding
  name=1 string:binding  value=2 Value:binding
Operation
  type=1 string  inputs=2 {Argument}  outputs=3 *NamedValueType  blocks=4 *Block
  attributes=5 {Value}
NamedValueType
  name=1 string  type=2 ValueType
ValueType
  tensorType=1 TensorType:type
TensorType
  dataType=1 int32  rank=2 int64  dimensions=3 *Dimension
Dimension
  constant=1 Dimension.ConstantDimension:dimension
  unknown=2 Dimension.UnknownDimension:dimension
Dimension.ConstantDimension
  size=1 uint64
Dimension.UnknownDimension
  variadic=1 bool
Value
  type=2 ValueType  immediateValue=3 Value.ImmediateValue:value
  blobFileValue=5 Value.BlobFileValue:value
Value.ImmediateValue
  tensor=1 TensorValue:value
Value.BlobFileValue
  fileName=1 string  offset=2 uint64
TensorValue
  floats=1 TensorValue.RepeatedFloats:value  ints=2 TensorValue.RepeatedInts:value
  bools=3 TensorValue.RepeatedBools:value  strings=4 TensorValue.RepeatedStrings:value
  longInts=5 TensorValue.RepeatedLongInts:value  doubles=6 TensorValue.RepeatedDoubles:value
  bytes=7 TensorValue.RepeatedBytes:value
TensorValue.RepeatedFloats
  values=1 *float
TensorValue.RepeatedDoubles
  values=1 *double
TensorValue.RepeatedInts
  values=1 *int32
TensorValue.RepeatedLongInts
  values=1 *int64
TensorValue.RepeatedBools
  values=1 *bool
TensorValue.RepeatedStrings
  values=1 *string
TensorValue.RepeatedBytes
  values=1 bytes
"""

NETWORK = """
NeuralNetwork
  layers=1 *NeuralNetworkLayer  arrayInputShapeMapping=5 int32
NeuralNetworkClassifier
  layers=1 *NeuralNetworkLayer  arrayInputShapeMapping=5 int32
NeuralNetworkRegressor
  layers=1 *NeuralNetworkLayer  arrayInputShapeMapping=5 int32
WeightParams
  floatValue=1 *float  float16Value=2 bytes  rawValue=30 bytes  int8RawValue=31 bytes
  quantization=40 QuantizationParams
QuantizationParams
  numberOfBits=1 uint64  linearQuantization=101 LinearQuantizationParams:QuantizationType
  lookupTableQuantization=102 LookUpTableQuantizationParams:QuantizationType
LinearQuantizationParams
  scale=1 *float  bias=2 *float
LookUpTableQuantizationParams
  floatValue=1 *float
LSTMParams
  sequenceOutput=10 bool  hasBiasVectors=20 bool  forgetBias=30 bool  hasPeepholeVectors=40 bool
  coupledInputAndForgetGate=50 bool  cellClipThreshold=60 float
LSTMWeightParams
  inputGateWeightMatrix=1 WeightParams  forgetGateWeightMatrix=2 WeightParams
  blockInputWeightMatrix=3 WeightParams  outputGateWeightMatrix=4 WeightParams
  inputGateRecursionMatrix=20 WeightParams  forgetGateRecursionMatrix=21 WeightParams
  blockInputRecursionMatrix=22 WeightParams  outputGateRecursionMatrix=23 WeightParams
  inputGateBiasVector=40 WeightParams  forgetGateBiasVector=41 WeightParams
  blockInputBiasVector=42 WeightParams  outputGateBiasVector=43 WeightParams
  inputGatePeepholeVector=60 WeightParams  forgetGatePeepholeVector=61 WeightParams
  outputGatePeepholeVector=62 WeightParams
UniDirectionalLSTMLayerParams
  inputVectorSize=1 uint64  outputVectorSize=2 uint64  activations=10 *ActivationParams
  params=15 LSTMParams  weightParams=20 LSTMWeightParams  reverseInput=100 bool
BiDirectionalLSTMLayerParams
  inputVectorSize=1 uint64  outputVectorSize=2 uint64
  activationsForwardLSTM=10 *ActivationParams  activationsBackwardLSTM=11 *ActivationParams
  params=15 LSTMParams  weightParams=20 *LSTMWeightParams
GRULayerParams
  inputVectorSize=1 uint64  outputVectorSize=2 uint64  activations=10 *ActivationParams
  sequenceOutput=15 bool  hasBiasVectors=20 bool  updateGateWeightMatrix=30 WeightParams
  resetGateWeightMatrix=31 WeightParams  outputGateWeightMatrix=32 WeightParams
  updateGateRecursionMatrix=50 WeightParams  resetGateRecursionMatrix=51 WeightParams
  outputGateRecursionMatrix=52 WeightParams  updateGateBiasVector=70 WeightParams
  resetGateBiasVector=71 WeightParams  outputGateBiasVector=72 WeightParams
  reverseInput=100 bool
SimpleRecurrentLayerParams
  inputVectorSize=1 uint64  outputVectorSize=2 uint64  activation=10 ActivationParams
  sequenceOutput=15 bool  hasBiasVector=20 bool  weightMatrix=30 WeightParams
  recursionMatrix=31 WeightParams  biasVector=32 WeightParams  reverseInput=100 bool
ActivationParams
  linear=5 ActivationLinear:NonlinearityType  ReLU=10 Nothing:NonlinearityType
  leakyReLU=15 ActivationLeakyReLU:NonlinearityType
  thresholdedReLU=20 ActivationThresholdedReLU:NonlinearityType
  PReLU=25 Nothing:NonlinearityType  tanh=30 Nothing:NonlinearityType
  scaledTanh=31 ActivationScaledTanh:NonlinearityType  sigmoid=40 Nothing:NonlinearityType
  sigmoidHard=41 ActivationSigmoidHard:NonlinearityType  ELU=50 ActivationELU:NonlinearityType
  softsign=60 Nothing:NonlinearityType  softplus=70 Nothing:NonlinearityType
  parametricSoftplus=71 Nothing:NonlinearityType
Nothing
ActivationLinear
  alpha=1 float  beta=2 float
ActivationLeakyReLU
  alpha=1 float
ActivationThresholdedReLU
  alpha=1 float
ActivationScaledTanh
  alpha=1 float  beta=2 float
ActivationSigmoidHard
  alpha=1 float  beta=2 float
ActivationELU
  alpha=1 float
"""

NETWORK_LAYERS = """
NeuralNetworkLayer
  name=1 string  input=2 *string  output=3 *string  inputTensor=4 *Tensor
  convolution=100 ConvolutionLayerParams:layer  activation=130 ActivationParams:layer
  innerProduct=140 InnerProductLayerParams:layer  embedding=150 EmbeddingLayerParams:layer
  softmax=175 Nothing:layer  add=230 AddLayerParams:layer  multiply=231 AddLayerParams:layer
  permute=310 PermuteLayerParams:layer  concat=320 ConcatLayerParams:layer
  split=330 SplitLayerParams:layer  simpleRecurrent=400 SimpleRecurrentLayerParams:layer
  gru=410 GRULayerParams:layer  uniDirectionalLSTM=420 UniDirectionalLSTMLayerParams:layer
  biDirectionalLSTM=430 BiDirectionalLSTMLayerParams:layer  copy=600 Nothing:layer
  tanh=760 Nothing:layer  addBroadcastable=880 Nothing:layer
  divideBroadcastable=890 Nothing:layer  multiplyBroadcastable=900 Nothing:layer
  subtractBroadcastable=905 Nothing:layer  softmaxND=950 SoftmaxNDLayerParams:layer
  reverse=960 ReverseLayerParams:layer  splitND=975 SplitNDLayerParams:layer
  concatND=980 ConcatNDLayerParams:layer  transpose=985 TransposeLayerParams:layer
  sliceStatic=995 SliceStaticLayerParams:layer  embeddingND=1040 EmbeddingNDLayerParams:layer
  batchedMatmul=1045 BatchedMatMulLayerParams:layer
  loadConstantND=1070 LoadConstantNDLayerParams:layer  squeeze=1120 SqueezeLayerParams:layer
  expandDims=1125 ExpandDimsLayerParams:layer
  reshapeStatic=1140 ReshapeStaticLayerParams:layer
  rankPreservingReshape=1150 ReshapeStaticLayerParams:layer
Tensor
  rank=1 uint32  dimValue=2 *int64
InnerProductLayerParams
  inputChannels=1 uint64  outputChannels=2 uint64  hasBias=10 bool  weights=20 WeightParams
  bias=21 WeightParams  int8DynamicQuantize=22 bool
EmbeddingNDLayerParams
  vocabSize=1 uint64  embeddingSize=2 uint64  hasBias=3 bool  weights=20 WeightParams
  bias=21 WeightParams
EmbeddingLayerParams
  inputDim=1 uint64  outputChannels=2 uint64  hasBias=10 bool  weights=20 WeightParams
  bias=21 WeightParams
ExpandDimsLayerParams
  axes=1 *int64
SqueezeLayerParams
  axes=1 *int64  squeezeAll=2 bool
TransposeLayerParams
  axes=1 *uint64
PermuteLayerParams
  axis=1 *uint64
ReshapeStaticLayerParams
  targetShape=1 *int64
ConcatLayerParams
  sequenceConcat=100 bool
ConcatNDLayerParams
  axis=1 int64  interleave=2 bool
SplitNDLayerParams
  axis=1 int64  numSplits=2 uint64  splitSizes=3 *uint64
SplitLayerParams
  nOutputs=1 uint64
LoadConstantNDLayerParams
  shape=1 *uint64  data=2 WeightParams
SoftmaxNDLayerParams
  axis=1 int64
AddLayerParams
  alpha=1 float
BatchedMatMulLayerParams
  transposeA=1 bool  transposeB=2 bool  weightMatrixFirstDimension=5 uint64
  weightMatrixSecondDimension=6 uint64  hasBias=7 bool  weights=8 WeightParams
  bias=9 WeightParams  int8DynamicQuantize=10 bool
ReverseLayerParams
  reverseDim=1 *bool
SliceStaticLayerParams
  beginIds=1 *int64  beginMasks=2 *bool  endIds=3 *int64  endMasks=4 *bool  strides=5 *int64
  squeezeMasks=6 *bool
ConvolutionLayerParams
  outputChannels=1 uint64  kernelChannels=2 uint64  nGroups=10 uint64  kernelSize=20 *uint64
  stride=30 *uint64  dilationFactor=40 *uint64  valid=50 ValidPadding:ConvolutionPaddingType
  same=51 SamePadding:ConvolutionPaddingType  isDeconvolution=60 bool  hasBias=70 bool
  weights=90 WeightParams  bias=91 WeightParams
ValidPadding
  paddingAmounts=1 BorderAmounts
SamePadding
  asymmetryMode=1 int32
BorderAmounts
  borderAmounts=10 *BorderAmounts.EdgeSizes
BorderAmounts.EdgeSizes
  startEdgeSize=1 uint64  endEdgeSize=2 uint64
"""

SCHEMA = MODEL + PROGRAM + NETWORK + NETWORK_LAYERS

TABLE = MessageTable(PACKAGE, SCHEMA)

HELD = {"WeightParams": {1: Held(2, "<f4"), 2: Held(2, "<f2"), 30: Held(30), 31: Held(31)}}
"""Values that stay in the file where they are large: floats of 32 and of 16 bits, whole numbers."""

MAX_MODEL_BYTES = 2**31 - 1

LAYER_NAMES = {
    120: "pooling", 160: "batchnorm", 165: "mvn", 170: "l2normalize", 200: "padding", 220: "unary",
    240: "average", 245: "scale", 250: "bias", 260: "max", 261: "min", 280: "reduce",
    290: "loadConstant", 300: "reshape", 301: "flatten", 340: "sequenceRepeat", 350: "slice",
    500: "custom", 605: "branch", 615: "loop", 660: "clip", 920: "tile", 925: "stack",
    930: "gather", 965: "reverseSeq", 1065: "getShape", 1080: "fillLike", 1085: "fillStatic",
    1130: "flattenTo2D", 1145: "reshapeDynamic", 1350: "layerNormalization",
}  # fmt: skip
"""Layers that are not read, by the number of their field, so that they can be named."""


def parse_model(path: Path) -> Any:
    """Parse a file as a Model; its large weights stay in the file.

    Raises
    ------
    CheckpointError
        It is no such message, is cut off, or is larger than one can be.
    """
    from google.protobuf.message import DecodeError

    size = path.stat().st_size
    try:
        if size > MAX_MODEL_BYTES:
            raise DecodeError("larger than a protocol message can be")  # noqa: TRY301 - one error
        return parse_file(TABLE, "Model", path, HELD)
    except DecodeError as error:
        raise CheckpointError(
            "The Core ML model does not parse: it is truncated or damaged.",
            where=path,
            expected="a Model message",
            found=f"{size} bytes that are none ({error})",
            hint="copy or download the file again, and compare its size with the original",
        ) from error
