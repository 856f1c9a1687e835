"""A layer as PyTorch's nn.LSTM, nn.GRU or nn.RNN; torch is handed in, never imported here.

References
----------
torch/nn/modules/rnn.py: gates i, f, g, o and r, z, n; two biases, summed (of a GRU's candidate
the second is multiplied by r); ``proj_size`` below the number of units; packed sequences know no
length 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rnnscope.errors import EngineError
from rnnscope.model.cell import Array, CellSpec
from rnnscope.model.recurrent_layer import RecurrentLayer

MODULES = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "RNN"}

FIXED: dict[str, dict[str, Any]] = {
    "lstm": {
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "output_activation": "tanh",
        "cell_clip": None,
        "proj_clip": None,
        "gate_clip": None,
        "coupled": False,
    },
    "gru": {
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "reset_after": True,
        "gate_clip": None,
    },
    "simple_rnn": {"gate_clip": None},
}
"""Options about which the modules leave no choice."""

WORDS = {
    "cell_clip": "clip of c",
    "proj_clip": "clip of the projected m",
    "gate_clip": "clip of what enters activations",
    "coupled": "forget gate coupled to the input gate",
    "reset_after": "reset gate before the product",
}


def beyond_torch(cell: CellSpec) -> str:
    """What of a cell the modules cannot say: the end of "nn.X has no …"; empty if nothing."""
    if cell.kind not in MODULES:
        return f"cell {cell.kind}"
    if cell.peepholes:
        return "peepholes"
    if cell.num_proj is not None and cell.num_proj >= cell.num_units:
        return "projection as wide as its units"
    for name, only in FIXED[cell.kind].items():
        value = getattr(cell.options, name).value
        if value != only:
            return WORDS.get(name, f"{name} {value}")
    if cell.kind == "simple_rnn" and cell.options.activation.value not in ("tanh", "relu"):
        return f"activation {cell.options.activation.value}"
    return ""


def module_of(
    torch: Any,
    layers: Sequence[RecurrentLayer],
    device: str,
    *,
    batch_first: bool = True,
    biased: bool = True,
) -> Any:
    """The module with a layer's weights: of a forward layer, or of both directions."""
    cell = layers[0].cell
    more: dict[str, Any] = {}
    if cell.num_proj is not None:
        more["proj_size"] = cell.num_proj
    if cell.kind == "simple_rnn":
        more["nonlinearity"] = cell.options.activation.value
    module = getattr(torch.nn, MODULES[cell.kind])(
        cell.input_size,
        cell.num_units,
        bias=biased,
        batch_first=batch_first,
        bidirectional=len(layers) == 2,
        dtype=getattr(torch, cell.dtype.name),
        device=device,
        **more,
    )
    arrays: dict[str, Array] = {}
    for layer, suffix in zip(layers, ("", "_reverse"), strict=False):
        arrays |= {f"{name}{suffix}": array for name, array in _parameters(layer.cell).items()}
    wanted = [name for name, _ in module.named_parameters()]
    tensors = {name: torch.from_numpy(np.ascontiguousarray(arrays[name])) for name in wanted}
    module.load_state_dict(tensors)
    return module.train(False)


def _parameters(cell: CellSpec) -> dict[str, Array]:
    weights = cell.weights
    bias, second = weights.bias, getattr(weights, "recurrent_bias", None)
    if cell.kind == "lstm" and cell.options.forget_bias.value:
        bias = bias.copy()
        units = cell.num_units
        bias[units : 2 * units] += bias.dtype.type(cell.options.forget_bias.value)
    if second is None and cell.kind == "gru":
        second = np.zeros_like(bias)  # its part for n is multiplied by r, which a half must not be
    elif second is None:
        # Half of it each, which is exact: a forgotten bias is seen.
        bias = second = bias / 2
    found = {
        "weight_ih_l0": weights.kernel.T,
        "weight_hh_l0": weights.recurrent_kernel.T,
        "bias_ih_l0": bias,
        "bias_hh_l0": second,
    }
    if getattr(weights, "projection", None) is not None:
        found["weight_hr_l0"] = weights.projection.T
    return found


def run_module(
    torch: Any,
    module: Any,
    x: Array,
    lengths: Array | None,
    initial: Sequence[Mapping[str, Array]] | None,
    device: str,
) -> tuple[dict[str, Array], ...]:
    """What the module computes, by direction: ``outputs``, ``final_m`` and ``final_c``.

    Parameters
    ----------
    torch, module : module, nn.Module
    x : ndarray (sequence, timestep, feature)
    lengths : ndarray of int (sequence,) or None
        Handed over as a packed sequence, none of them 0.
    initial : sequence of dict of str to ndarray (sequence, width), or None
        c and m before the first step, for each direction.
    device : str
    """

    def tensor(array: Array) -> Any:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)

    def turned(array: Array) -> Array:
        return array if module.batch_first else array.swapaxes(0, 1)

    given = tensor(turned(x))
    if lengths is not None:
        given = torch.nn.utils.rnn.pack_padded_sequence(
            given,
            torch.from_numpy(lengths.astype(np.int64)),
            batch_first=module.batch_first,
            enforce_sorted=False,
        )
    start = None
    if initial is not None:
        parts = {name: tensor(np.stack([one[name] for one in initial])) for name in initial[0]}
        start = (parts["m"], parts["c"]) if "c" in parts else parts["m"]
    with torch.no_grad():
        found, last = module(given, start)
    if lengths is not None:
        found, _ = torch.nn.utils.rnn.pad_packed_sequence(
            found, batch_first=module.batch_first, total_length=x.shape[1]
        )
    outputs = turned(found.cpu().numpy())
    finals = last if isinstance(last, tuple) else (last,)
    directions = 2 if module.bidirectional else 1
    return tuple(
        {
            "outputs": np.split(outputs, directions, axis=-1)[number],
            **{
                f"final_{name}": value[number].cpu().numpy()
                for name, value in zip("mc", finals, strict=False)
            },
        }
        for number in range(directions)
    )


DEVICES = ("cpu", "cuda", "mps")


def check_device(torch: Any, device: str, where: str) -> None:
    """Refuse a device that this torch does not have.

    Raises
    ------
    EngineError
        It says which there are.
    """
    has = {"cpu": True, "cuda": torch.cuda.is_available()}
    mps = getattr(torch.backends, "mps", None)
    has["mps"] = mps is not None and mps.is_available()
    if not has[device]:
        found = ", ".join(name for name in DEVICES if has[name])
        raise EngineError(
            f"PyTorch has no device {device} here.",
            where=where,
            expected=f"a PyTorch that was built for {device}, and such a device",
            found=found,
            hint="leave the device out, for the CPU",
        )
