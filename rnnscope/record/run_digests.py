"""Digests of what a run reads: what its trace says of its files, and what tells runs apart."""

from __future__ import annotations

from pathlib import Path

from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.arrays.reference import split_reference
from rnnscope.files.guarding.hashing import files_sha256
from rnnscope.record.planning import PlannedRun
from rnnscope.record.recipes.recipe import REFERENCES, Recipe


@dataclass(frozen=True)
class RunDigests:
    """SHA-256 digests of what a run reads, in hexadecimal digits.

    Attributes
    ----------
    checkpoint, input, decoder_input : str
        The last is empty where there are no decoder inputs.
    named : tuple of str
        Of each file that an option names (lengths, masks, states, resets), in the order of the
        options. The recipe has only its name, and its content may change while a run is
        interrupted, or between its parts.
    """

    checkpoint: str
    input: str
    decoder_input: str
    named: tuple[str, ...] = ()

    @property
    def attributes(self) -> dict[str, str]:
        """Those that a trace holds, by its attributes."""
        return {
            "checkpoint_sha256": self.checkpoint,
            "input_sha256": self.input,
            "decoder_input_sha256": self.decoder_input,
        }


def read_digests(planned: PlannedRun) -> RunDigests:
    """The digests of what a planned run reads."""
    return RunDigests(
        files_sha256(planned.checkpoint.files),
        planned.input_sha256(),
        planned.decoder_sha256(),
        tuple(files_sha256([path]) for path in _named_files(planned.recipe)),
    )


def _named_files(recipe: Recipe) -> list[Path]:
    """Files that options name; an array of the input itself is in the input's digest."""
    found = []
    for name in REFERENCES:
        value = recipe[name]
        if name == "decoder_inputs" or not isinstance(value, str):
            continue
        path = Path(split_reference(value)[0])
        if path.is_file():
            found.append(path)
    return found
