"""Weights that a state dict holds in parts: what torch makes of them before every forward pass.

Weight norm, spectral norm, pruning and weight dropout keep other tensors in the place of a weight.
In evaluation each gives one weight, which is computed here in float64 and rounded to the stored
dtype.

References
----------
torch/nn/utils/weight_norm.py, spectral_norm.py, prune.py, parametrizations.py; fastai
``WeightDropout`` and awd-lstm-lm ``WeightDrop``, whose ``_raw`` tensor counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.arrays.loadable_arrays import LoadableArray
from rnnscope.model.cell import Array

ROLE = r"(?:(?:weight|bias)_(?:ih|hh)|weight_hr)(?:_l\d{1,4}(?:_reverse)?)?"
"""The own name of a tensor of a recurrent module."""

PART = re.compile(
    rf"(?P<module>|.*[./])(?:parametrizations\.(?P<new>{ROLE})\.(?P<new_part>.+)"
    rf"|(?P<old>{ROLE})_(?P<old_part>raw|bar|(?:raw_|[gvu]_)?(?:orig|mask)|[gvu]))"
)
"""A part of such a tensor."""

COPY_TOLERANCE = 1e-5
"""A weight that is stored beside its parts was rounded, and computed in float32."""

MIN_ALIGNMENT = 0.9
"""The cosine between the vectors of spectral norm that tells which way round a weight was read."""


@dataclass(frozen=True, eq=False)
class ComputedArray(LoadableArray):
    """A weight that is computed from others of the file.

    Attributes
    ----------
    sources : tuple of str
        The tensors that it is computed from.
    copies : tuple of str
        Tensors of the file that hold the same weight as it once was, and do not count.
    how : str
        In words; empty for one that is stored as it is, before dropout.
    """

    sources: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    how: str = ""


def stored_names(array: LoadableArray) -> tuple[str, ...]:
    """The tensors of the file that an array is made of."""
    return array.sources if isinstance(array, ComputedArray) else (array.name,)


def accounted_names(array: LoadableArray) -> tuple[str, ...]:
    """Those, and the copies of it that do not count."""
    copies = array.copies if isinstance(array, ComputedArray) else ()
    return (*stored_names(array), *copies)


class UncomputedPartsError(Exception):
    """The parts of a weight make no weight that is known; the text is the reason."""


@dataclass
class Resolved:
    """Tensors with every weight that is stored in parts in the place of its parts.

    Attributes
    ----------
    arrays : list of LoadableArray
    troubles : dict of str to str
        Weights, by the name they would have, that are not computed, each with the reason.
    """

    arrays: list[LoadableArray]
    troubles: dict[str, str] = field(default_factory=dict)


def resolve_weights(arrays: Sequence[LoadableArray]) -> Resolved:
    """Compute the weights that are stored in parts.

    Parameters
    ----------
    arrays : sequence of LoadableArray

    Returns
    -------
    Resolved
        Parts that make no known weight stay among the arrays, with a trouble.
    """
    parts: dict[str, dict[str, LoadableArray]] = {}
    for array in arrays:
        match = PART.fullmatch(array.name)
        if match is not None:
            whole = match["module"] + (match["new"] or match["old"])
            parts.setdefault(whole, {})[match["new_part"] or match["old_part"]] = array
    if not parts:
        return Resolved(list(arrays))
    by_name = {array.name: array for array in arrays}
    made: dict[str, ComputedArray] = {}
    troubles: dict[str, str] = {}
    for whole, found in parts.items():
        name = _inside_wrapper(whole, by_name) if "raw" in found else whole
        try:
            made[name] = _computed(name, found, by_name.get(name))
        except UncomputedPartsError as error:
            names = ", ".join(f"'{array.name}'" for array in found.values())
            troubles[whole] = f"stores '{whole}' as {names}: {error}"
    gone = {name for array in made.values() for name in (*array.sources, *array.copies)}
    kept = [array for array in arrays if array.name not in gone]
    return Resolved([*kept, *made.values()], troubles)


def _inside_wrapper(whole: str, by_name: Mapping[str, LoadableArray]) -> str:
    """Where a raw weight belongs: to the module that a wrapper of weight dropout holds."""
    match = re.fullmatch(rf"(|.*[./])({ROLE})", whole)
    assert match is not None
    prefix, own = match[1], match[2]
    tensor = re.compile(rf"{re.escape(prefix)}(?:([^./]+)\.)?{ROLE}")
    holders = {found[1] or "" for name in by_name if (found := tensor.fullmatch(name))}
    if len(holders) == 1 and (child := holders.pop()):
        return f"{prefix}{child}.{own}"
    return whole


def _computed(
    name: str, parts: dict[str, LoadableArray], copy: LoadableArray | None
) -> ComputedArray:
    sources = tuple(array.name for array in parts.values())
    parts = _without_masks(parts)
    known = RECIPES.get(frozenset(parts))
    if known is None:
        raise UncomputedPartsError("rnnscope does not know what is made of them")
    how, shape_of, compute = known
    # Copies that dropout made differ from the weight; all others say the same once more.
    load = compute(parts, copy if "raw" not in parts else None)
    copies = () if copy is None else (copy.name,)
    return ComputedArray(name, parts[shape_of].shape, load, sources, copies, how)


def _without_masks(parts: dict[str, LoadableArray]) -> dict[str, LoadableArray]:
    """The parts with those that are pruned themselves (``v_orig``, ``v_mask``) computed."""
    found = dict(parts)
    for prefix in ("raw", "g", "v", "u"):
        pruned, mask = found.get(f"{prefix}_orig"), found.get(f"{prefix}_mask")
        if pruned is not None and mask is not None:
            del found[f"{prefix}_orig"], found[f"{prefix}_mask"]
            load = _pruned({"orig": pruned, "mask": mask}, None)
            found[prefix] = LoadableArray(pruned.name, pruned.shape, load)
    return found


Parts = Mapping[str, LoadableArray]
Load = Callable[[], Array]


def _checked(values: Array, like: Array, copy: LoadableArray | None) -> Array:
    """A weight in the dtype of its parts, held to what the file stores beside them."""
    dtype = like.dtype if like.dtype in (np.float32, np.float64) else np.float32
    weight: Array = values.astype(dtype)
    if copy is not None:
        stored = copy.load()
        if stored.shape != weight.shape or not np.allclose(
            stored, weight, rtol=COPY_TOLERANCE, atol=COPY_TOLERANCE
        ):
            raise UncomputedPartsError(f"they make another weight than '{copy.name}', stored too")
    return weight


def _fixed(values: Array) -> Load:
    return lambda: values


def _raw(parts: Parts, _: LoadableArray | None) -> Load:
    return parts["raw"].load


def _pruned(parts: Parts, copy: LoadableArray | None) -> Load:
    _require_shape(parts["mask"], parts["orig"].shape)
    weight = parts["orig"].load()
    masked = weight.astype(np.float64) * parts["mask"].load().astype(np.float64)
    return _fixed(_checked(masked, weight, copy))


def _weight_norm(g_part: str, v_part: str) -> Callable[[Parts, LoadableArray | None], Load]:
    def compute(parts: Parts, copy: LoadableArray | None) -> Load:
        scale, direction = parts[g_part], parts[v_part]
        fits = len(scale.shape) in (0, len(direction.shape)) and all(
            size in (1, whole) for size, whole in zip(scale.shape, direction.shape, strict=False)
        )
        if not fits:
            raise UncomputedPartsError(
                f"'{scale.name}' of shape {scale.shape} is no norm of shape {direction.shape}"
            )
        v = direction.load()
        # The axis that was kept has the weight's size in g; norms run over the others.
        axes = tuple(axis for axis in range(v.ndim) if not scale.shape or scale.shape[axis] == 1)
        wide = v.astype(np.float64)
        norm = np.sqrt((wide * wide).sum(axis=axes, keepdims=True))
        with np.errstate(divide="ignore", invalid="ignore"):
            return _fixed(_checked(wide * (scale.load() / norm), v, copy))

    return compute


def _spectral_norm(
    w_part: str, u_part: str, v_part: str
) -> Callable[[Parts, LoadableArray | None], Load]:
    def compute(parts: Parts, copy: LoadableArray | None) -> Load:
        stored = parts[w_part].load()
        if stored.ndim != 2:
            raise UncomputedPartsError(f"'{parts[w_part].name}' is no matrix")
        u, v = (parts[part].load().astype(np.float64) for part in (u_part, v_part))
        ways = [
            matrix
            for matrix in (stored.astype(np.float64), stored.astype(np.float64).T)
            if (u.shape, v.shape) == (matrix.shape[:1], matrix.shape[1:])
        ]
        if len(ways) == 2:  # as wide as it is high: u is close to what the power iteration gives
            cosines = [abs(_cosine(u, matrix @ v)) for matrix in ways]
            ways = [
                way
                for way, one in zip(ways, cosines, strict=True)
                if one >= MIN_ALIGNMENT and one == max(cosines)
            ]
        if len(ways) != 1:
            raise UncomputedPartsError("the vectors of its spectral norm do not fit")
        return _fixed(_checked(stored.astype(np.float64) / (u @ ways[0] @ v), stored, copy))

    return compute


def _cosine(one: Array, other: Array) -> float:
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths else 0.0


def _require_shape(array: LoadableArray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise UncomputedPartsError(f"'{array.name}' has shape {array.shape}, not {shape}")


RECIPES: dict[
    frozenset[str], tuple[str, str, Callable[[Parts, LoadableArray | None], Load]]
] = {
    frozenset({"raw"}): ("", "raw", _raw),
    frozenset({"orig", "mask"}): ("pruned", "orig", _pruned),
    frozenset({"g", "v"}): ("weight norm", "v", _weight_norm("g", "v")),
    frozenset({"original0", "original1"}): (
        "weight norm", "original1", _weight_norm("original0", "original1")
    ),
    frozenset({"orig", "u", "v"}): ("spectral norm", "orig", _spectral_norm("orig", "u", "v")),
    frozenset({"original", "0._u", "0._v"}): (
        "spectral norm", "original", _spectral_norm("original", "0._u", "0._v")
    ),
}  # fmt: skip
"""Sets of parts to what they are, the one of the weight's shape, and what computes the weight."""


def computed_words(arrays: Iterable[LoadableArray]) -> list[str]:
    """A sentence on each weight that was computed, and how."""
    return [
        f"'{array.name}' is computed from {' and '.join(array.sources)} ({array.how}), as torch "
        "does in evaluation."
        if array.how
        else f"'{array.name}' is '{array.sources[0]}': the weight before dropout counts."
        for array in arrays
        if isinstance(array, ComputedArray)
    ]
