"""Frameworks are imported in one place, when somebody asks for their numbers, and nowhere else."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from rnnscope.errors import EngineError


class Framework(NamedTuple):
    """A framework of others.

    Attributes
    ----------
    module : str
        What is imported.
    title : str
    package : str
        What pip installs.
    """

    module: str
    title: str
    package: str


FRAMEWORKS: dict[str, Framework] = {
    "tensorflow": Framework("tensorflow", "TensorFlow", "tensorflow"),
    "keras": Framework("keras", "Keras", "keras"),
    "onnxruntime": Framework("onnxruntime", "ONNX Runtime", "onnxruntime"),
    "onnx": Framework("onnx.reference", "The package onnx", "onnx"),
    "torch": Framework("torch", "PyTorch", "torch"),
}
"""By the name that people give to it."""


def import_framework(name: str, where: str, instead: str) -> Any:
    """Import a framework of `FRAMEWORKS`.

    Parameters
    ----------
    name : str
    where : str
        The option that asks for it, as the surface spells it.
    instead : str
        What else the user can do: the end of "pip install X, or …".

    Raises
    ------
    EngineError
        It is missing or fails to import.
    """
    # Read once, at import: its messages would stand between ours.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    framework = FRAMEWORKS[name]
    try:
        return __import__(framework.module, fromlist=["__version__"])
    except Exception as error:  # a broken installation raises nearly anything
        root = framework.module.partition(".")[0]
        missing = isinstance(error, ModuleNotFoundError) and error.name == root
        raise EngineError(
            f"{framework.title} is not installed."
            if missing
            else f"{framework.title} does not import.",
            where=where,
            expected=f"import {root} to work in this Python",
            found=f"{type(error).__name__}: {error}",
            hint=f"pip install {framework.package}, or {instead}",
        ) from error
