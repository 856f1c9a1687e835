"""Where a run is recorded: its trace, and which part of it."""

from __future__ import annotations

from pathlib import Path

from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.remote.addresses import as_address
from rnnscope.record.recipes.recipe import Recipe
from rnnscope.trace.parts import PartPlace, part_path
from rnnscope.trace.parts.place import place_of


@dataclass(frozen=True)
class Target:
    """Where a trace goes.

    Attributes
    ----------
    path : Path or None
        A path, or an address of a zarr store. None: it stays in memory.
    force : bool
        Replace an existing file.
    resume : bool
        Continue a run of the same recipe that was interrupted.
    """

    path: Path | None = None
    force: bool = False
    resume: bool = False

    def __post_init__(self) -> None:
        if self.path is not None:
            object.__setattr__(self, "path", as_address(self.path))


@dataclass(frozen=True)
class PartOfRun:
    """Which part of a run is recorded.

    Attributes
    ----------
    number, of : int
        The first is 1.
    recipe : Recipe or None
        What the part tells as its recipe, where files are named otherwise to whoever records it.
    threads : int
        Into how many parts a slice is split, as a run on one machine would; 0: as the recipe says.
    folder : Path or None
        Of the parts, where it is another than the trace's own.
    input_sha256 : str
        The digest of the input, where whoever ties the parts has taken it and sees to it that the
        input stays as it is: a part need not read all of it.
    """

    number: int
    of: int
    recipe: Recipe | None = None
    threads: int = 0
    folder: Path | None = None
    input_sha256: str = ""

    def path(self, trace: Path) -> Path:
        """Where the part of a trace goes."""
        own = part_path(trace, self.number, self.of)
        return own if self.folder is None else self.folder / own.name

    def place(self, sequences: int) -> PartPlace:
        """The part of a run of so many sequences.

        Raises
        ------
        OptionError
            There are fewer sequences than parts.
        """
        return place_of(self.number, self.of, sequences)
