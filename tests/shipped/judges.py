"""Who computes a layer of a shipped file otherwise: the frameworks, from the file itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

States = dict[str, np.ndarray]
"""``m`` (sequence, timestep, unit) and ``final c`` (sequence, unit)."""


class NoJudge(Exception):  # noqa: N818 - it ends nothing: the table says so
    """Why nobody else computes a layer."""


@dataclass(frozen=True)
class Judge:
    """Somebody else.

    Attributes
    ----------
    title : str
    states : callable
        ``states(path, name, layer, x) -> States``: `name` of the layer as rnnscope has it, `layer`
        for its direction and kind alone; weights come from the file.
    """

    title: str
    states: Callable[[Path, str, Any, np.ndarray], States]


def _need(module: str) -> Any:
    try:
        return __import__(module)
    except ImportError:
        raise NoJudge(f"{module} is not installed") from None


def torch_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a state dict, by PyTorch's or numpy's own loaders."""
    torch = _need("torch")
    if path.suffix == ".safetensors":
        _need("safetensors")
        from safetensors.numpy import load_file

        return load_file(path)
    if path.suffix == ".npz":
        with np.load(path) as stored:
            return {re.sub(r"_(w|b)_(ih|hh)$", _long_name, key): stored[key] for key in stored}
    if path.suffix == ".pkl":
        import pickle

        class Arrays(pickle.Unpickler):
            def find_class(self, module: str, name: str) -> Any:
                if module.startswith("numpy") and name in ("_reconstruct", "ndarray", "dtype"):
                    return super().find_class(module, name)
                raise NoJudge(f"the pickle asks for {module}.{name}")

        with path.open("rb") as file:
            return dict(Arrays(file).load())
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    while isinstance(loaded, dict) and not any(_is_weight(key) for key in loaded):
        inner = [one for one in loaded.values() if isinstance(one, dict) and one]
        loaded = max(inner, key=lambda one: sum(map(_is_weight, one)))
    return {key: value.numpy() for key, value in loaded.items() if hasattr(value, "numpy")}


def _is_weight(key: object) -> bool:
    return "weight_ih" in str(key)


def _long_name(found: re.Match[str]) -> str:
    return f".{'weight' if found[1] == 'w' else 'bias'}_{found[2]}"


def by_torch(path: Path, name: str, layer: Any, x: np.ndarray) -> States:
    """``torch.nn``'s own module, its parameters found by PyTorch's names."""
    torch = _need("torch")
    arrays = torch_arrays(path)
    level = re.search(r"l(\d+)", name)
    suffix = f"_l{level[1]}" if level else ""
    if layer.backward.value and suffix:
        suffix += "_reverse"
    prefix = re.sub(r"/?l\d+(/(forward|backward))?$", "", name)
    pattern = re.compile(rf"(?:.*\.)?{re.escape(prefix)}\.weight_ih({re.escape(suffix)})?$")
    keys = [key for key in arrays if pattern.fullmatch(key) and (key.endswith("ih" + suffix))]
    if not keys:
        keys = [key for key in arrays if key.endswith(f"weight_ih{suffix}")]
    if len(keys) != 1:
        raise NoJudge(f"{len(keys)} arrays may be the weights of {name}")
    own = {
        role: torch.as_tensor(np.array(arrays[keys[0].replace("weight_ih", role)], np.float32))
        for role in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }
    gates = own["weight_ih"].shape[0] // own["weight_hh"].shape[1]
    kind = {4: torch.nn.LSTM, 3: torch.nn.GRU, 1: torch.nn.RNN}[gates]
    module = kind(x.shape[-1], own["weight_hh"].shape[1], batch_first=True)
    module.load_state_dict({f"{role}_l0": value for role, value in own.items()})
    turned = np.ascontiguousarray(x[:, ::-1] if layer.backward.value else x)
    with torch.no_grad():
        y, final = module(torch.as_tensor(turned, dtype=torch.float32))
    m = y.numpy()
    found = {"m": m[:, ::-1] if layer.backward.value else m}
    if gates == 4:
        found["final c"] = final[1][0].numpy()
    return found


def by_keras(path: Path, name: str, layer: Any, x: np.ndarray) -> States:
    """A layer of Keras, its arrays read with h5py by name."""
    import zipfile

    keras, h5py = _need("keras"), _need("h5py")
    if zipfile.is_zipfile(path):
        kernel, recurrent, bias = _from_whole_model(path, name)
    else:
        with h5py.File(path) as file:
            kernel, recurrent, bias = _keras_arrays(file, name)
    units = recurrent.shape[0]
    gates = kernel.shape[1] // units
    options: dict[str, Any] = {"return_sequences": True, "return_state": True}
    if gates == 3:
        options["reset_after"] = bias.ndim == 2
    kind = {4: keras.layers.LSTM, 3: keras.layers.GRU, 1: keras.layers.SimpleRNN}[gates]
    chosen = layer.cell.options
    options["activation"] = chosen.activation.value
    if gates > 1:
        # Keras 1 and 2 meant another hard sigmoid than Keras 3, which computes here.
        inner = chosen.recurrent_activation.value
        options["recurrent_activation"] = _old_hard_sigmoid if inner == "hard_sigmoid" else inner
    own = kind(units, **options)
    turned = np.ascontiguousarray(x[:, ::-1] if layer.backward.value else x)
    own(turned)
    own.set_weights([kernel, recurrent, bias])
    y, _, *c = own(turned)
    m = np.asarray(y)
    found = {"m": m[:, ::-1] if layer.backward.value else m}
    if c:
        found["final c"] = np.asarray(c[0])
    return found


def _from_whole_model(path: Path, name: str) -> list[np.ndarray]:
    """The weights of a layer of a ``.keras`` file, as Keras loads it in its safe mode."""
    import keras

    first, _, direction = name.partition("/")
    try:
        layer = keras.saving.load_model(path, compile=False, safe_mode=True).get_layer(first)
    except (ValueError, TypeError) as error:
        raise NoJudge(f"Keras does not load it: {error}"[:90].splitlines()[0]) from error
    if direction:
        layer = layer.forward_layer if direction.startswith("forward") else layer.backward_layer
    return layer.get_weights()


def _old_hard_sigmoid(z: Any) -> Any:
    from keras import ops

    return ops.clip(0.2 * z + 0.5, 0.0, 1.0)


def _keras_arrays(file: Any, name: str) -> list[np.ndarray]:
    """kernel, recurrent kernel and bias of a layer: all that lies under its name."""
    last = name.split("/")
    found: list[tuple[str, np.ndarray]] = []

    def see(path: str, held: Any) -> None:
        if hasattr(held, "shape") and len(held.shape) > 0:
            found.append((path, np.array(held)))

    file.visititems(see)
    own = [(path, value) for path, value in found if all(part in path for part in last)]
    roles = {
        role: [value for path, value in own
               if re.search(rf"(^|[/_]){role}(:0)?$|/cell/vars/{number}$", path)]
        for number, role in enumerate(("kernel", "recurrent_kernel", "bias"))
    }  # fmt: skip
    roles["kernel"] = [
        value for path, value in own
        if re.search(r"(^|/)kernel(:0)?$|/cell/vars/0$", path)
    ]  # fmt: skip
    if any(len(values) != 1 for values in roles.values()):
        counts = ", ".join(f"{len(values)} {role}" for role, values in roles.items())
        raise NoJudge(f"under {name} lie {counts}")
    return [values[0] for values in roles.values()]


def by_onnxruntime(path: Path, name: str, layer: Any, x: np.ndarray) -> States:
    """The node alone in a graph of its own, as ONNX Runtime computes it."""
    onnx, runtime = _need("onnx"), _need("onnxruntime")
    model = onnx.load(path)
    (node,) = (one for one in model.graph.node if one.op_type in ("LSTM", "GRU", "RNN"))
    wanted = {key for key in node.input[1:4] if key}
    stored = [one for one in model.graph.initializer if one.name in wanted]
    stored += [
        onnx.helper.make_tensor(one.output[0], 1, one.attribute[0].t.dims,
                                onnx.numpy_helper.to_array(one.attribute[0].t).tobytes(), raw=True)
        for one in model.graph.node if one.op_type == "Constant" and one.output[0] in wanted
    ]  # fmt: skip
    alone = onnx.helper.make_node(
        node.op_type, ["x", *node.input[1:4]], ["y", "h", "c"][: 3 if node.op_type == "LSTM" else 2]
    )
    alone.attribute.extend(one for one in node.attribute if one.name != "layout")
    values = [onnx.helper.make_tensor_value_info(key, 1, None) for key in ("x", *alone.output)]
    graph = onnx.helper.make_graph([alone], "alone", values[:1], values[1:], stored)
    opsets = [one for one in model.opset_import if one.domain in ("", "ai.onnx")]
    made = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    session = runtime.InferenceSession(made.SerializeToString())
    y, *finals = session.run(None, {"x": np.ascontiguousarray(x.swapaxes(0, 1), np.float32)})
    found = {"m": y[:, 0].swapaxes(0, 1)}
    if node.op_type == "LSTM":
        found["final c"] = finals[1][0]
    return found


JUDGES = {
    "torch": Judge("torch.nn", by_torch),
    "keras": Judge("Keras", by_keras),
    "onnxruntime": Judge("ONNX Runtime", by_onnxruntime),
}
"""By name."""
