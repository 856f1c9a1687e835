"""A project folder of LSTMVis: ``lstm.yml``, states.h5, train.h5 and words.dict.

Each layer's states are a dataset (step, unit); all sequences stand one after the other. LSTMVis
applies tanh to what it reads unless told otherwise, which suits c: for m ``transform: none`` says
that it is bounded already. Every id in ``word_ids`` must be in the dictionary, whose lines are a
word without blanks, and its id. Names of files must end in .h5 or .hdf5, and .dict or .txt.

References
----------
https://github.com/HendrikStrobelt/LSTMVis: README.md, docs/chapter/config_states.md,
lstmdata/data_handler.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.errors import InputError, OptionError, spell
from rnnscope.files.arrays.array_views import Expanded, Unfolded
from rnnscope.files.arrays.stored_array import LoadedArray, StoredArray
from rnnscope.files.containers.named_arrays import LSTMVIS_CONFIG, NamedArrays
from rnnscope.files.hdf5.datasets import Hdf5File
from rnnscope.model.cell import Array
from rnnscope.states.build import LayerArray, build_states, unread_arrays
from rnnscope.states.interface import (
    ReadOptions,
    StateFormat,
    StateReading,
    WriteOptions,
    WrittenStates,
)
from rnnscope.states.plain_yaml import read_yaml
from rnnscope.states.rows_of_steps import cut_by_lengths, folded, with_lengths
from rnnscope.states.saving import write_h5
from rnnscope.states.state_set import StateSet
from rnnscope.states.writing import losses_in_words, state_of

NAME = "lstmvis"
TYPES = {"state": "c", "output": "m"}
SUFFIXES = (".h5", ".hdf5")
MAX_CONFIG = 2**20


def readings(arrays: NamedArrays, options: ReadOptions) -> list[StateReading]:
    """The folder's configuration says which dataset is what."""
    folder = arrays.path if arrays.path.is_dir() else arrays.path.parent
    config = folder / LSTMVIS_CONFIG
    if not config.is_file() or (arrays.path.is_file() and options.format != NAME):
        return []
    held = _read_config(config)
    files: dict[str, Hdf5File] = {}
    try:
        members = _members(held, folder, files)
        words = _word_ids(held, folder, files)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _damaged(config, f"{type(error).__name__}: {error}") from error
    rows = members[0].array.shape[0] if members else 0

    def close() -> None:
        for file in files.values():
            file.close()

    holder = _file_with_lengths(files)
    lengths_alone = NamedArrays(
        folder, "lstmvis", ("lengths",) if holder else (),
        files[holder].array if holder else _no_array,
    )  # fmt: skip
    cuts = cut_by_lengths(lengths_alone, rows, options)
    unfolded = [
        replace(member, array=Unfolded(member.array, cuts.starts, cuts.lengths))
        for member in members
        if member.array.shape[0] == rows
    ]
    states = build_states(NamedArrays(folder, "lstmvis", (), _no_array, close), NAME, unfolded)
    if states is None:
        return []
    read = {words, f"{holder}/lengths", *(member.source for member in unfolded)}
    names = [f"{place}/{name}" for place, file in files.items() for name in file.names]
    sizes = {member.source: f"{member.array.shape[0]} rows, not {rows}" for member in members}
    not_read = unread_arrays(names, read, sizes)
    whole = replace(with_lengths(states, cuts.lengths), not_read=not_read)
    sure = bool(cuts.sources) or options.format == NAME or options.lengths is None
    why = f"{LSTMVIS_CONFIG}; {cuts.reason}"
    return [StateReading(NAME, "state is c, output is m", why, whole, sure=sure)]


def _read_config(path: Path) -> Mapping[str, Any]:
    if path.stat().st_size > MAX_CONFIG:
        raise _damaged(path, f"{path.stat().st_size} bytes")
    try:
        held = read_yaml(path.read_text("utf-8"))
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(held, dict):
        raise _damaged(path, "no mapping")
    return held


def _members(
    config: Mapping[str, Any], folder: Path, files: dict[str, Hdf5File]
) -> list[LayerArray]:
    states = config["states"]
    members = []
    for entry in states["types"]:
        place = _open(config, folder, entry.get("file", states.get("file")), files)
        name = str(entry["path"]).strip("/")
        if name not in files[place].names:
            raise ValueError(f"{place} has no dataset {name}")
        array = files[place].array(name)
        if len(array.shape) != 2:
            raise ValueError(f"{name} has shape {array.shape}, not (step, unit)")
        layer, key = str(entry["layer"]), TYPES[entry["type"]]
        members.append(LayerArray(layer, key, array, f"{place}/{name}", named=False))
    return members


def _open(config: Mapping[str, Any], folder: Path, key: object, files: dict[str, Hdf5File]) -> str:
    """Open a file of the configuration, never outside of its folder; its path in the folder."""
    path = (folder / str(config["files"][key])).resolve()
    if folder.resolve() not in path.parents or path.suffix not in SUFFIXES:
        raise ValueError(f"{path.name} is no .h5 file of the folder")
    place = path.relative_to(folder.resolve()).as_posix()
    if place not in files:
        files[place] = Hdf5File(path)
    return place


def _word_ids(config: Mapping[str, Any], folder: Path, files: dict[str, Hdf5File]) -> str:
    """The name of the dataset of word ids, which are no states; its file is opened, too."""
    words = config.get("word_sequence")
    if not isinstance(words, Mapping) or "file" not in words:
        return ""
    if not (folder / str(config["files"][words["file"]])).is_file():
        return ""
    return f"{_open(config, folder, words['file'], files)}/{str(words['path']).strip('/')}"


def _file_with_lengths(files: Mapping[str, Hdf5File]) -> str | None:
    """The file that holds the sequences' lengths, as an export by rnnscope does."""
    return next((place for place, file in files.items() if "lengths" in file.names), None)


def _no_array(name: str) -> StoredArray:
    raise KeyError(name)


def _damaged(path: Path, found: str) -> InputError:
    return InputError(
        "The LSTMVis configuration cannot be read.",
        where=path,
        expected="files, and states with a file and types: type, layer, path",
        found=found,
        hint="https://github.com/HendrikStrobelt/LSTMVis tells the form",
    )


def write(states: StateSet, options: WriteOptions) -> WrittenStates:
    """A folder with the configuration, states of every layer, ids and their words."""
    held: dict[str, StoredArray] = {}
    types: list[dict[str, object]] = []
    lengths: Array | None = None
    for number, layer in enumerate(states.layers, 1):
        for kind, state in TYPES.items():
            array, steps = folded(states, layer, state_of(layer, state, options, NAME))
            if lengths is not None and not np.array_equal(steps, lengths):
                raise OptionError(
                    "LSTMVis holds layers that have the same steps.",
                    where=f"layer '{layer.name}'",
                    found=f"{int(steps.sum())} steps, {int(lengths.sum())} in the layers before",
                    hint=f"choose layers with {spell('layers')}",
                )
            lengths = steps
            path = f"{kind}{number}"
            held[path] = array
            entry: dict[str, object] = {"type": kind, "layer": number, "path": path}
            types.append(entry | ({"transform": "none"} if kind == "output" else {}))
    steps = np.zeros(0, np.int64) if lengths is None else lengths
    held["lengths"] = LoadedArray(steps)
    ids = _ids(options, steps)
    words = {int(number): _word(options, int(number)) for number in np.unique(ids)}
    names = [layer.name for layer in states.layers]
    about = "; ".join(f"layer {number} is {name}" for number, name in enumerate(names, 1))

    def folder(path: Path) -> None:
        path.mkdir()
        write_h5(path / "states.h5", held)
        write_h5(path / "train.h5", {"word_ids": LoadedArray(ids)})
        lines = [f"{word} {number}\n" for number, word in words.items()]
        (path / "words.dict").write_text("".join(lines), encoding="utf-8")
        (path / LSTMVIS_CONFIG).write_text(_config(states.name, about, types), encoding="utf-8")

    lost = (
        "the layers' names but as text",
        "steps past the length",
        *losses_in_words(states, options),
    )
    notes: tuple[str, ...] = (about,)
    if options.ids is None:
        notes = (*notes, f"no {spell('ids')}: words.dict calls a step by its number, t0, t1 …")
    return WrittenStates(held, lost, notes, folder=folder)


def _config(name: str, about: str, types: list[dict[str, object]]) -> str:
    """``lstm.yml``; quoted text is the same in JSON and YAML."""
    entries = ",\n".join(
        "    {" + ", ".join(f"{key}: {value}" for key, value in entry.items()) + "}"
        for entry in types
    )
    return (
        f"name: {json.dumps(f'rnnscope: {Path(name).name}')}\n"
        f"description: {json.dumps(about)}\n"
        "\n"
        "files:\n"
        "  states: states.h5\n"
        "  train: train.h5\n"
        "  words: words.dict\n"
        "\n"
        "word_sequence:\n"
        "  file: train\n"
        "  path: word_ids\n"
        "  dict_file: words\n"
        "\n"
        "states:\n"
        "  file: states\n"
        "  types: [\n"
        f"{entries}\n"
        "  ]\n"
    )


def _ids(options: WriteOptions, lengths: Array) -> Array:
    """A word id for each step: those that are given, else the number of the step."""
    if options.ids is None:
        parts = [np.arange(length, dtype=np.int64) for length in lengths]
        return np.concatenate([*parts, np.zeros(0, np.int64)])
    ids = options.ids
    if ids.dtype.kind not in "iu" or len(ids.shape) != 2 or ids.shape[0] != len(lengths):
        raise InputError(
            "The ids do not fit the states.",
            where=spell("ids"),
            expected=f"integers (sequence, timestep) of {len(lengths)} sequences",
            found=f"shape {ids.shape}, {ids.dtype}",
        )
    return folded_ids(ids, lengths)


def folded_ids(ids: StoredArray, lengths: Array) -> Array:
    """The ids of valid steps, int64 (step,)."""
    if ids.shape[1] < int(lengths.max(initial=0)):
        raise InputError(
            "The ids do not reach the last step.",
            where=spell("ids"),
            expected=f"{int(lengths.max())} timesteps",
            found=f"{ids.shape[1]}",
        )
    rows = Expanded(ids, 2).read()[..., 0]
    parts = [row[:length] for row, length in zip(rows, lengths, strict=True)]
    return np.concatenate([*parts, np.zeros(0, np.int64)]).astype(np.int64)


def _word(options: WriteOptions, number: int) -> str:
    """The word of an id, without blanks: LSTMVis splits the dictionary's lines at them."""
    word = options.words.get(number, f"t{number}" if options.ids is None else f"id{number}")
    return "_".join(word.split()) or f"id{number}"


STATE_FORMAT = StateFormat(
    NAME,
    "LSTMVis project folder (lstm.yml, states.h5, train.h5, words.dict)",
    f"a folder with {LSTMVIS_CONFIG}",
    "c and m of valid steps",
    readings,
    write,
)
