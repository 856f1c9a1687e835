"""Trees of arrays that JAX's libraries, MLX and ggml wrote, with the states of every step.

    python make_array_trees.py OUT PREFIX

Run with flax 0.12.8, haiku 0.0.17, equinox 0.13.8, mlx 0.32.4, orbax-checkpoint 0.12.8 and gguf
0.19.0 on jax 0.10.2 (Python 3.11), prefix ``new``; and with flax 0.8.5, haiku 0.0.12, equinox
0.11.4 and orbax-checkpoint 0.5.20 on jax 0.4.30 (Python 3.10), prefix ``old``, which skips what is
not there. ``PREFIX_truth.npz`` holds the input ``x`` and for each file and cell ``FILE:CELL:c`` and
``:m``, (sequence, timestep, unit), as the library's own cell gives them step by step.
"""

from __future__ import annotations

import pickle
import shutil
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

OUT, PREFIX = Path(sys.argv[1]), sys.argv[2]
UNITS, WIDTH = 6, 5
RNG = np.random.default_rng(7)
X = RNG.normal(size=(3, 7, WIDTH)).astype("f4")
TRUTH: dict[str, np.ndarray] = {"x": X}


def noisy(tree):
    """Random numbers everywhere: biases begin as zeros."""
    return jax.tree_util.tree_map(
        lambda leaf: jnp.asarray(RNG.normal(size=leaf.shape) * 0.5, leaf.dtype), tree
    )


def keep(file, cell, steps):
    """Note the states of a cell: a list of (c, m), or of m alone."""
    names = ("c", "m") if isinstance(steps[0], tuple) else ("m",)
    for place, name in enumerate(names):
        parts = [one[place] if isinstance(one, tuple) else one for one in steps]
        TRUTH[f"{file}:{cell}:{name}"] = np.stack([np.asarray(part) for part in parts], axis=1)


def flax_linen():
    import flax
    import flax.linen as nn
    from flax import serialization
    from flax.traverse_util import flatten_dict

    kinds = {"lstm": nn.OptimizedLSTMCell, "plain": nn.LSTMCell, "gru": nn.GRUCell,
             "simple": nn.SimpleCell}  # fmt: skip
    trees = {}
    for name, kind in kinds.items():
        cell = kind(features=UNITS)
        carry = cell.initialize_carry(jax.random.key(0), X[:, 0].shape)
        params = noisy(cell.init(jax.random.key(1), carry, X[:, 0])["params"])
        steps = []
        for step in range(X.shape[1]):
            carry, _ = cell.apply({"params": params}, carry, X[:, step])
            steps.append(carry)
        trees[name] = params
        keep("flax", name, steps)
    file = OUT / f"{PREFIX}_flax.msgpack"
    whole = {"params": trees, "step": np.int32(3), "opt_state": {"0": {"mu": trees, "nu": trees}}}
    file.write_bytes(serialization.msgpack_serialize(jax.tree_util.tree_map(np.asarray, whole)))
    flat = {"/".join(key): np.asarray(value) for key, value in flatten_dict(trees).items()}
    np.savez(OUT / f"{PREFIX}_flax.npz", **flat)
    from safetensors.numpy import save_file

    save_file({name.replace("/", "."): value for name, value in flat.items()},
              OUT / f"{PREFIX}_flax.safetensors")  # fmt: skip
    (OUT / f"{PREFIX}_flax.pkl").write_bytes(pickle.dumps({"params": trees}))
    halves = jax.tree_util.tree_map(lambda leaf: leaf.astype(jnp.bfloat16), trees["lstm"])
    (OUT / f"{PREFIX}_flax_bfloat16.msgpack").write_bytes(serialization.to_bytes({"lstm": halves}))
    serialization.MAX_CHUNK_SIZE = 64  # bytes: so that small arrays are cut, too
    (OUT / f"{PREFIX}_flax_chunks.msgpack").write_bytes(
        serialization.msgpack_serialize({"lstm": dict(trees["lstm"])})
    )
    del flax
    return trees


def orbax(trees):
    import orbax.checkpoint as ocp

    for kind, ocdbt in (("ocdbt", True), ("zarr", False)):
        folder = (OUT / f"{PREFIX}_orbax_{kind}").absolute()
        shutil.rmtree(folder, ignore_errors=True)
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_ocdbt=ocdbt)) as checkpointer:
            checkpointer.save(folder, {"params": {"lstm": trees["lstm"]}, "step": 3})


def flax_nnx():
    from flax import nnx
    from flax.traverse_util import flatten_dict

    flat = {}
    for name, kind in {"lstm": nnx.OptimizedLSTMCell, "plain": nnx.LSTMCell, "gru": nnx.GRUCell,
                       "simple": nnx.SimpleCell}.items():  # fmt: skip
        cell = kind(WIDTH, UNITS, rngs=nnx.Rngs(0))
        graph, state = nnx.split(cell)
        state = jax.tree_util.tree_map(
            lambda leaf: jnp.asarray(RNG.normal(size=leaf.shape) * 0.5, leaf.dtype)
            if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, state)  # fmt: skip
        cell = nnx.merge(graph, state)
        zero = jnp.zeros((3, UNITS))
        carry = (zero, zero) if name in ("lstm", "plain") else zero
        steps = []
        for step in range(X.shape[1]):
            carry, _ = cell(carry, X[:, step])
            steps.append(carry)
        keep("nnx", name, steps)
        pure = state.to_pure_dict() if hasattr(state, "to_pure_dict") else nnx.to_pure_dict(state)
        for key, value in flatten_dict(pure).items():
            if hasattr(value, "dtype") and np.asarray(value).dtype.kind == "f":
                flat[".".join([name, *map(str, key), "value"])] = np.asarray(value)
    from safetensors.numpy import save_file

    save_file(flat, OUT / f"{PREFIX}_nnx.safetensors")


def haiku():
    import haiku as hk

    whole = {}
    for name, kind in {"lstm": hk.LSTM, "gru": hk.GRU, "vanilla_rnn": hk.VanillaRNN}.items():
        run = hk.without_apply_rng(hk.transform(
            lambda x, state, kind=kind: kind(UNITS)(x, state)))  # fmt: skip
        zero = jnp.zeros((3, UNITS))
        state = hk.LSTMState(zero, zero) if name == "lstm" else zero
        params = noisy(run.init(jax.random.key(2), X[:, 0], state))
        steps = []
        for step in range(X.shape[1]):
            _, state = run.apply(params, X[:, step], state)
            steps.append((state.cell, state.hidden) if name == "lstm" else state)
        keep("haiku", name, steps)
        whole |= params
    (OUT / f"{PREFIX}_haiku.pkl").write_bytes(pickle.dumps(whole))
    flat = {f"{module}/{key}": np.asarray(value)
            for module, held in whole.items() for key, value in held.items()}  # fmt: skip
    np.savez(OUT / f"{PREFIX}_haiku.npz", **flat)


def equinox():
    import equinox as eqx

    flat = {}
    for name, kind in {"lstm": eqx.nn.LSTMCell, "gru": eqx.nn.GRUCell}.items():
        cell = kind(WIDTH, UNITS, key=jax.random.key(3))
        parts, static = eqx.partition(cell, eqx.is_array)
        cell = eqx.combine(noisy(parts), static)
        zero = jnp.zeros((3, UNITS))
        state = (zero, zero) if name == "lstm" else zero
        steps = []
        for step in range(X.shape[1]):
            state = jax.vmap(cell)(X[:, step], state)
            steps.append((state[1], state[0]) if name == "lstm" else state)
        keep("equinox", name, steps)
        leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(cell, eqx.is_array))
        flat |= {f".{name}{jax.tree_util.keystr(path)}": np.asarray(leaf) for path, leaf in leaves}
    from safetensors.numpy import save_file

    save_file(flat, OUT / f"{PREFIX}_equinox.safetensors")


def mlx():
    import mlx.core as mx
    from mlx import nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.gru, self.rnn = (
                kind(WIDTH, UNITS) for kind in (nn.LSTM, nn.GRU, nn.RNN)
            )

    model = Model()
    hidden, cell = model.lstm(mx.array(X))
    TRUTH["mlx:lstm:c"], TRUTH["mlx:lstm:m"] = np.array(cell), np.array(hidden)
    TRUTH["mlx:gru:m"] = np.array(model.gru(mx.array(X)))
    TRUTH["mlx:rnn:m"] = np.array(model.rnn(mx.array(X)))
    model.save_weights(str(OUT / f"{PREFIX}_mlx.safetensors"))
    model.save_weights(str(OUT / f"{PREFIX}_mlx.npz"))
    from mlx.utils import tree_flatten

    mx.save_gguf(str(OUT / f"{PREFIX}_mlx.gguf"), dict(tree_flatten(model.parameters())))


def gguf(trees):
    from flax.traverse_util import flatten_dict
    from gguf import GGUFWriter

    writer = GGUFWriter(OUT / f"{PREFIX}_flax.gguf", "lstm")
    for key, value in flatten_dict(trees).items():
        half = key[0] == "plain" and np.asarray(value).ndim == 2
        writer.add_tensor(".".join(key), np.asarray(value, "f2" if half else "f4"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def bidirectional():
    import flax.linen as nn
    from flax import serialization

    class Model(nn.Module):
        def setup(self):
            self.both = nn.Bidirectional(
                nn.RNN(nn.OptimizedLSTMCell(UNITS)), nn.RNN(nn.OptimizedLSTMCell(UNITS))
            )

        def __call__(self, x):
            return self.both(x)

    model = Model()
    params = noisy(model.init(jax.random.key(4), X))
    TRUTH["bidirectional"] = np.asarray(model.apply(params, X))
    (OUT / f"{PREFIX}_bidirectional.msgpack").write_bytes(serialization.to_bytes(params))


OUT.mkdir(exist_ok=True)
TREES = flax_linen()
orbax(TREES)
haiku()
equinox()
for make in (flax_nnx, mlx, lambda: gguf(TREES)):
    if PREFIX == "new":
        make()
bidirectional()
np.savez_compressed(OUT / f"{PREFIX}_truth.npz", **TRUTH)
