"""TensorFlow's lists of tensors, which converted loops keep as operators of TensorFlow itself.

A list is a sequence of ONNX's here: a loop of Keras writes its items one after another, from the
first on, and all are put together behind it. Lists that are used in another way are not told.
"""

from __future__ import annotations

from rnnscope.checkpoints.tflite.translation.site import Site, Tell


def _reserve(site: Site) -> None:
    site.end("SequenceEmpty", [])


def _set_item(site: Site) -> None:
    site.end("SequenceInsert", [site.x(0), site.x(2), site.x(1)])


def _stack(site: Site) -> None:
    site.end("ConcatFromSequence", [site.x(0)], axis=0, new_axis=1)


TENSOR_LISTS: dict[str, Tell] = {
    "CUSTOM FlexTensorListReserve": _reserve,
    "CUSTOM FlexTensorListSetItem": _set_item,
    "CUSTOM FlexTensorListStack": _stack,
}
"""By operator."""
