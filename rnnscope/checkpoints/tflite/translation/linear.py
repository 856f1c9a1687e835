"""Products of matrices, convolutions and pooling; those with 8-bit weights as TFLite computes them.

References
----------
tensorflow/lite/kernels/fully_connected.cc, conv.cc, depthwise_conv.cc, pooling.cc: layouts of
weights, and what is added at the edges. Images are (sequence, height, width, channel) here and
(sequence, channel, height, width) in ONNX.
"""

from __future__ import annotations

from rnnscope.checkpoints.tflite.translation.site import DOMAIN, Site, Tell
from rnnscope.checkpoints.translated.messages import NotTranslated

TO_ONNX, FROM_ONNX = (0, 3, 1, 2), (0, 2, 3, 1)
PADDING = ("SAME_UPPER", "VALID")


def _hybrid(site: Site, number: int) -> bool:
    """Whether an input holds 8-bit weights that floats are multiplied with."""
    tensor = site.tensor(number)
    if not tensor.is_quantised or site.tensor(0).is_quantised:
        return False
    if tensor.data is None or tensor.zero.any() or tensor.dtype != "i1":
        raise NotTranslated("with quantised weights of another kind")
    return True


def _fully_connected(site: Site) -> None:
    o, weights = site.options, site.tensor(1)
    if o.weights_format or len(weights.shape) != 2:
        raise NotTranslated("with weights in another order")
    x = site.x(0)
    if not o.keep_num_dims and len(site.tensor(0).shape) != 2:
        x = site.add("Reshape", [x], shape=[-1, weights.shape[1]])
    if _hybrid(site, 1):
        scales = [float(one) for one in weights.scale]
        if len(scales) > 1 and weights.axis != 0:
            raise NotTranslated("with a scale for every input")
        made = site.add(
            "HybridMatMul", [x, site.values.stored(site.op.input(1))], domain=DOMAIN,
            scales=scales, asymmetric=o.asymmetric_quantize_inputs,
        )  # fmt: skip
    else:
        made = site.add("MatMul", [x, site.add("Transpose", [site.x(1)], perm=(1, 0))])
    if site.has(2):
        site.end("Add", [made, site.x(2)])
    else:
        site.activate(made)


def _batch_matmul(site: Site) -> None:
    if any(_hybrid(site, number) for number in (0, 1)):
        raise NotTranslated("with quantised weights")
    sides = []
    for number, turned in ((0, site.options.adj_x), (1, site.options.adj_y)):
        side, rank = site.x(number), len(site.tensor(number).shape)
        if turned:
            side = site.add("Transpose", [side], perm=(*range(rank - 2), rank - 1, rank - 2))
        sides.append(side)
    site.end("MatMul", sides)


def _images(site: Site) -> tuple[str, str]:
    """The input as ONNX has it, and how its edges are treated."""
    padding = site.options.padding
    if not 0 <= padding < len(PADDING) or len(site.tensor(0).shape) != 4:
        raise NotTranslated("with edges treated in another way")
    return site.add("Transpose", [site.x(0)], perm=TO_ONNX), PADDING[padding]


def _back(site: Site, made: str) -> None:
    site.activate(site.add("Transpose", [made], perm=FROM_ONNX))


def _convolution(site: Site, order: tuple[int, ...], groups: int) -> None:
    if site.tensor(1).is_quantised:
        raise NotTranslated("with quantised weights")
    o = site.options
    x, padding = _images(site)
    inputs = [x, site.add("Transpose", [site.x(1)], perm=order)]
    inputs += [site.x(2)] if site.has(2) else []
    made = site.add(
        "Conv", inputs, strides=[o.stride_h, o.stride_w], auto_pad=padding, group=groups,
        dilations=[o.dilation_h_factor, o.dilation_w_factor],
    )  # fmt: skip
    _back(site, made)


def _conv_2d(site: Site) -> None:
    channels, own = site.tensor(0).shape[-1], site.tensor(1).shape[-1]
    if not own or channels % own:
        raise NotTranslated("with weights that do not fit")
    _convolution(site, (0, 3, 1, 2), channels // own)


def _depthwise(site: Site) -> None:
    _convolution(site, (3, 0, 1, 2), site.tensor(0).shape[-1])


def _pool(op: str) -> Tell:
    def tell(site: Site) -> None:
        o = site.options
        x, padding = _images(site)
        made = site.add(
            op, [x], kernel_shape=[o.filter_height, o.filter_width], auto_pad=padding,
            strides=[o.stride_h, o.stride_w],
        )  # fmt: skip
        _back(site, made)

    return tell


LINEAR: dict[str, Tell] = {
    "AVERAGE_POOL_2D": _pool("AveragePool"),
    "BATCH_MATMUL": _batch_matmul,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _pool("MaxPool"),
}
"""By operator."""
