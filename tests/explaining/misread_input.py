"""The input as it is fed where time, columns, numbers or lengths are confused."""

from __future__ import annotations

from typing import Any

import numpy as np
from explaining.network_description import Array, Made, Model


def fed_input(model: Model, x: Array, lengths: Any, made: Made) -> tuple[Array, Array]:
    """The input as it is fed, and which of its steps count."""
    ids = x if model.embedding is not None else None
    if ids is not None:
        x = _embedded(model.embedding, ids, made.get("embedding"))
    x = np.asarray(x, np.float64)
    steps = x.shape[1]
    if model.masking:
        lengths = [int(np.max(np.flatnonzero(row.any(axis=1)) + 1, initial=0)) for row in x]
    if lengths is None:
        lengths = [steps] * len(x)
    lengths = _lengths(np.asarray(lengths), steps, made)
    x = _columns_and_scale(x, made)
    x, lengths = _turned_input(x, lengths, made)
    if "ignored" in (made.get("lengths"), made.get("mask")) or made.get("left-padding") == "true":
        lengths = np.full(len(x), x.shape[1])
    return x, np.arange(x.shape[1]) < lengths[:, None]


def _embedded(table: Array, ids: Array, how: str | None) -> Array:
    if how == "ids clipped":
        ids = np.minimum(ids, len(table) - 2)
    elif how:
        shift = 1 if how == "ids + 1" else -1
        ids = ids + shift
    rows = np.where((ids >= 0) & (ids < len(table)), ids, 0)
    return np.where(((ids >= 0) & (ids < len(table)))[..., None], table[rows], 0)


def _lengths(lengths: Array, steps: int, made: Made) -> Array:
    words = made.get("lengths", "")
    if words == "one less":
        return np.maximum(lengths - 1, 0)
    if words == "one more":
        return np.minimum(lengths + 1, steps)
    if words and words != "ignored":
        return np.array([int(word) for word in words.split(",")])
    return lengths


def _columns_and_scale(x: Array, made: Made) -> Array:
    if "input-columns" in made:
        x = x[..., [int(word) for word in made["input-columns"].split()]]
    if "input-scale" in made:
        words = made["input-scale"].replace(",", "").split()
        numbers = dict(zip(words[::2], map(float, words[1::2]), strict=True))
        x = numbers.get("factor", 1) * x + numbers.get("offset", 0)
    return x


def _turned_input(x: Array, lengths: Array, made: Made) -> tuple[Array, Array]:
    turned = made.get("reversed")
    if turned == "whole":
        x = x[:, ::-1]
    elif turned == "within length":
        x = x.copy()
        for row, length in zip(x, lengths, strict=True):
            row[:length] = row[:length][::-1].copy()
    if "(x)" in made.get("shift", ""):
        moved = np.zeros_like(x)
        if "late" in made["shift"]:
            moved[:, 1:] = x[:, :-1]
        else:
            moved[:, :-1] = x[:, 1:]
        x = moved
    if made.get("left-padding") == "true":
        moved = np.zeros_like(x)
        for old, new, length in zip(x, moved, lengths, strict=True):
            new[len(new) - length :] = old[:length]
        x = moved
    if made.get("time-major") == "input":
        x = x.transpose(1, 0, 2)
        lengths = np.full(len(x), x.shape[1])
    elif made.get("time-major") == "input reshaped":
        x = x.reshape(x.shape[1], x.shape[0], -1).transpose(1, 0, 2)
    return x, lengths
