"""What a trace keeps when it is not to keep everything: some layers, states, units, timesteps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, spell
from rnnscope.model.cell import Array

PART = re.compile(r"(?P<index>-?\d+)|last:(?P<last>\d+)|(?P<slice>-?\d*:-?\d*(:\d*)?)")
PLACES_TEXT = "0:16  |  ::10  |  last:3  |  5,9,40  |  several of them with commas between"
STATES = ("c", "m", "outputs", "gates")


@dataclass(frozen=True)
class Places:
    """Some places of an axis, as text says: `PLACES_TEXT`.

    Attributes
    ----------
    text : str
        Numbers from 0, ``start:stop:step`` as in Python, ``last:n``; commas between several.
    """

    text: str

    def of(self, size: int) -> Array:
        """The places on an axis of this size: int64, rising, each once; those beyond are left out.

        ``last:n`` counts from the end of the axis, whatever the length of each sequence.
        """
        chosen = np.zeros(size, bool)
        for part in self.text.split(","):
            match = PART.fullmatch(part.strip())
            assert match is not None, "parse_selection lets nothing else pass"
            if match["index"]:
                index = int(match["index"])
                if -size <= index < size:
                    chosen[index] = True
            elif match["last"]:
                chosen[max(0, size - int(match["last"])) :] = True
            else:
                ends = [int(end) if end else None for end in match["slice"].split(":")]
                chosen[slice(*ends)] = True
        return np.flatnonzero(chosen).astype(np.int64)


@dataclass(frozen=True)
class Selection:
    """What is kept; nothing else is written. Everything, if nothing is said.

    Attributes
    ----------
    layers : tuple of str
        Names, or globs with ``* ? [ ]``; empty: all.
    states : tuple of str
        Of ``c m outputs gates`` and single gates; empty: all that the run has.
    units : Places or None
        Of the units of c and the gates, and of the outputs.
    steps : Places or None
        Of the timesteps of each layer.
    """

    layers: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    units: Places | None = None
    steps: Places | None = None

    @property
    def is_everything(self) -> bool:
        return self == Selection()

    @property
    def cuts(self) -> bool:
        """True if arrays are kept in part."""
        return self.units is not None or self.steps is not None

    def keeps_layer(self, name: str) -> bool:
        return not self.layers or any(fnmatchcase(name, glob) for glob in self.layers)

    def keeps(self, array: str) -> bool:
        """Whether an array is kept: ``"c"``, ``"outputs"``, ``"gates/i"``; in every layer alike."""
        group, _, gate = array.rpartition("/")
        return (
            not self.states or array in self.states or bool({group, gate} & {*self.states} - {""})
        )

    def texts(self) -> tuple[str, ...]:
        """``KEY=VALUE`` texts that `parse_selection` makes the same selection of."""
        lists = {"layers": ",".join(self.layers), "states": ",".join(self.states)}
        places = {"units": self.units, "steps": self.steps}
        texts = lists | {key: place.text for key, place in places.items() if place}
        return tuple(f"{key}={text}" for key, text in texts.items() if text)

    def check(self, layers: Iterable[str], arrays: Iterable[str]) -> None:
        """Refuse a selection that names something which the run does not have.

        Parameters
        ----------
        layers : iterable of str
            Names of the run's layers.
        arrays : iterable of str
            Names of the arrays that some layer has, ``"c"``, ``"gates/i"`` …

        Raises
        ------
        OptionError
            It suggests the nearest name.
        """
        names, arrays = list(layers), list(arrays)
        for glob in self.layers:
            if not any(fnmatchcase(name, glob) for name in names):
                raise _unknown("layers", glob, names)
        for state in self.states:
            if not any(replace(self, states=(state,)).keeps(array) for array in arrays):
                gate = state == "gates" or state not in STATES
                raise OptionError(
                    f"The run has no '{state}' to select.",
                    where=f"states={','.join(self.states)}",
                    expected=", ".join(sorted({array.rpartition("/")[2] for array in arrays})),
                    found=state,
                    hint=f"add {spell('gates')}" if gate else None,
                )


def parse_selection(texts: Iterable[str]) -> Selection:
    """A selection from ``KEY=VALUE`` texts, the keys ``layers states units steps``.

    Raises
    ------
    OptionError
        A key, state or place is not to be understood, or a key comes twice; it suggests the
        nearest.
    """
    selection = Selection()
    seen: set[str] = set()
    for text in texts:
        key, mark, value = (part.strip() for part in text.partition("="))
        if key not in PARSERS:
            raise _unknown(spell("select"), key, PARSERS)
        if not mark or not value or key in seen:
            raise OptionError(
                "A selection is not to be understood.",
                where=spell("select", str(text)),
                expected=f"{key}=VALUE, once; several values with commas between",
                found="the same key twice" if key in seen else "no value",
            )
        seen.add(key)
        selection = PARSERS[key](selection, value)
    return selection


def _layers(selection: Selection, value: str) -> Selection:
    return replace(selection, layers=_list(value))


def _states(selection: Selection, value: str) -> Selection:
    from rnnscope.model.cells import CELLS

    known = [*STATES, *dict.fromkeys(gate for cell in CELLS.values() for gate in cell.gates)]
    for state in _list(value):
        if state not in known:
            raise _unknown("states", state, known)
    return replace(selection, states=_list(value))


def _units(selection: Selection, value: str) -> Selection:
    return replace(selection, units=_places("units", value))


def _steps(selection: Selection, value: str) -> Selection:
    return replace(selection, steps=_places("steps", value))


PARSERS: dict[str, Callable[[Selection, str], Selection]] = {
    "layers": _layers,
    "states": _states,
    "units": _units,
    "steps": _steps,
}


def _list(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _places(key: str, value: str) -> Places:
    for part in value.split(","):
        match = PART.fullmatch(part.strip())
        step = part.strip().split(":")[2:] if match and match["slice"] else []
        if match is None or step == ["0"]:
            raise OptionError(
                f"A selection of {key} is not to be understood.",
                where=f"{key}={value}",
                expected=PLACES_TEXT,
                found=part.strip() or "nothing between commas",
                hint="did you mean last:n?" if re.match(r"[a-z]", part.strip()) else None,
            )
    return Places(value.replace(" ", ""))


def _unknown(where: str, found: str, known: Iterable[str]) -> OptionError:
    import difflib

    near = difflib.get_close_matches(found, list(known), n=1)
    return OptionError(
        f"The selection names something unknown: '{found}'.",
        where=where,
        expected=", ".join(known) or "a run with layers",
        found=found,
        hint=f"did you mean {near[0]}?" if near else None,
    )
