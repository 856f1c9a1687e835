"""TensorFlow's protocol messages, as far as checkpoints and graphs need them.

The messages are built when first used, from the table `SCHEMA`; `proto_table` says how.

References
----------
tensorflow/core/protobuf/{tensor_bundle,meta_graph,saver,saved_model,trackable_object_graph}.proto,
tensorflow/core/framework/{graph,node_def,attr_value,tensor,function,op_def,variable}.proto,
tensorflow/core/util/saved_tensor_slice.proto. A test compares every line with TensorFlow's own.
"""

from __future__ import annotations

from rnnscope.files.messages.proto_table import MessageTable

SCHEMA = """
BundleHeaderProto
  num_shards=1 int32  endianness=2 int32  version=3 VersionDef
BundleEntryProto
  dtype=1 int32  shape=2 TensorShapeProto  shard_id=3 int32  offset=4 int64  size=5 int64
  crc32c=6 fixed32  slices=7 *TensorSliceProto
VersionDef
  producer=1 int32  min_consumer=2 int32  bad_consumers=3 *int32
TensorShapeProto
  dim=2 *TensorShapeProto.Dim  unknown_rank=3 bool
TensorShapeProto.Dim
  size=1 int64  name=2 string
TensorSliceProto
  extent=1 *TensorSliceProto.Extent
TensorSliceProto.Extent
  start=1 int64  length=2 int64:has_length_hack
TensorProto
  dtype=1 int32  tensor_shape=2 TensorShapeProto  version_number=3 int32  tensor_content=4 bytes
  half_val=13 *int32  float_val=5 *float  double_val=6 *double  int_val=7 *int32
  string_val=8 *bytes  scomplex_val=9 *float  int64_val=10 *int64  bool_val=11 *bool
  dcomplex_val=12 *double  uint32_val=16 *uint32  uint64_val=17 *uint64
GraphDef
  node=1 *NodeDef  versions=4 VersionDef  version=3 int32  library=2 FunctionDefLibrary
NodeDef
  name=1 string  op=2 string  input=3 *string  device=4 string  attr=5 {AttrValue}
AttrValue
  s=2 bytes:value  i=3 int64:value  f=4 float:value  b=5 bool:value  type=6 int32:value
  shape=7 TensorShapeProto:value  tensor=8 TensorProto:value  list=1 AttrValue.ListValue:value
  func=10 NameAttrList:value  placeholder=9 string:value
AttrValue.ListValue
  s=2 *bytes  i=3 *int64  f=4 *float  b=5 *bool  type=6 *int32  shape=7 *TensorShapeProto
  tensor=8 *TensorProto  func=9 *NameAttrList
NameAttrList
  name=1 string  attr=2 {AttrValue}
FunctionDefLibrary
  function=1 *FunctionDef  gradient=2 *GradientDef
GradientDef
  function_name=1 string  gradient_func=2 string
FunctionDef
  signature=1 OpDef  attr=5 {AttrValue}  node_def=3 *NodeDef  ret=4 {string}
  control_ret=6 {string}
OpDef
  name=1 string  input_arg=2 *OpDef.ArgDef  output_arg=3 *OpDef.ArgDef  control_output=20 *string
  attr=4 *OpDef.AttrDef  is_stateful=17 bool
OpDef.ArgDef
  name=1 string  type=3 int32  type_attr=4 string  number_attr=5 string  type_list_attr=6 string
  is_ref=16 bool
OpDef.AttrDef
  name=1 string  type=2 string  default_value=3 AttrValue
OpList
  op=1 *OpDef
MetaGraphDef
  meta_info_def=1 MetaGraphDef.MetaInfoDef  graph_def=2 GraphDef  saver_def=3 SaverDef
  collection_def=4 {CollectionDef}  signature_def=5 {SignatureDef}
  object_graph_def=7 SavedObjectGraph
MetaGraphDef.MetaInfoDef
  meta_graph_version=1 string  stripped_op_list=2 OpList  tags=4 *string
  tensorflow_version=5 string  tensorflow_git_version=6 string  stripped_default_attrs=7 bool
SaverDef
  filename_tensor_name=1 string  save_tensor_name=2 string  restore_op_name=3 string
  max_to_keep=4 int32  sharded=5 bool  version=7 int32
CollectionDef
  node_list=1 CollectionDef.NodeList:kind  bytes_list=2 CollectionDef.BytesList:kind
  int64_list=3 CollectionDef.Int64List:kind  float_list=4 CollectionDef.FloatList:kind
CollectionDef.NodeList
  value=1 *string
CollectionDef.BytesList
  value=1 *bytes
CollectionDef.Int64List
  value=1 *int64
CollectionDef.FloatList
  value=1 *float
SignatureDef
  inputs=1 {TensorInfo}  outputs=2 {TensorInfo}  method_name=3 string
TensorInfo
  name=1 string:encoding  dtype=2 int32  tensor_shape=3 TensorShapeProto
VariableDef
  variable_name=1 string  initial_value_name=6 string  initializer_name=2 string
  snapshot_name=3 string  save_slice_info_def=4 SaveSliceInfoDef  is_resource=5 bool
  trainable=7 bool
SaveSliceInfoDef
  full_name=1 string  full_shape=2 *int64  var_offset=3 *int64  var_shape=4 *int64
SavedModel
  saved_model_schema_version=1 int64  meta_graphs=2 *MetaGraphDef
SavedObjectGraph
  nodes=1 *SavedObject
SavedObject
  user_object=4 SavedUserObject:kind
SavedUserObject
  identifier=1 string  metadata=3 string
TrackableObjectGraph
  nodes=1 *TrackableObjectGraph.TrackableObject
TrackableObjectGraph.TrackableObject
  children=1 *TrackableObjectGraph.TrackableObject.ObjectReference
  attributes=2 *TrackableObjectGraph.TrackableObject.SerializedTensor
  slot_variables=3 *TrackableObjectGraph.TrackableObject.SlotVariableReference
TrackableObjectGraph.TrackableObject.ObjectReference
  node_id=1 int32  local_name=2 string
TrackableObjectGraph.TrackableObject.SerializedTensor
  name=1 string  full_name=2 string  checkpoint_key=3 string
TrackableObjectGraph.TrackableObject.SlotVariableReference
  original_variable_node_id=1 int32  slot_name=2 string  slot_variable_node_id=3 int32
SavedTensorSlices
  meta=1 SavedTensorSliceMeta  data=2 SavedSlice
SavedTensorSliceMeta
  tensor=1 *SavedSliceMeta  versions=2 VersionDef
SavedSliceMeta
  name=1 string  shape=2 TensorShapeProto  type=3 int32  slice=4 *TensorSliceProto
SavedSlice
  name=1 string  slice=2 TensorSliceProto  data=3 TensorProto
SavedMetadata
  nodes=1 *SavedMetadata.Layer
SavedMetadata.Layer
  node_id=2 int32  node_path=3 string  identifier=4 string  metadata=5 string
"""

PACKAGE = "tensorflow"

TABLE = MessageTable(PACKAGE, SCHEMA)

message_class = TABLE.message_class
"""The message class of one of the names of `SCHEMA`."""
