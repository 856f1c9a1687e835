"""What is found of a model that is fed in chunks, and of outputs that somebody streamed."""

from __future__ import annotations

from typing import Literal

from rnnscope.deferred_dataclass import dataclass

PREFIX = "stream-"
"""Of the ids of findings: ``stream-64`` is the run in chunks of 64 steps."""

OUTPUTS_CHECK = "stream-outputs"


@dataclass(frozen=True)
class StreamCheck:
    """What reports say of a finding of streams.

    Attributes
    ----------
    id, title, advice : str
    counted : str
        As of a `Check`.
    """

    id: str
    title: str
    advice: str
    counted: str = ""


CHUNKS = StreamCheck(
    PREFIX,
    "Chunks with the state carried give what the whole sequence gives",
    "This is rnnscope's own run, in chunks and whole: please report it, with the model.",
)
OUTPUTS = StreamCheck(
    OUTPUTS_CHECK,
    "Streamed outputs are those of the whole sequence",
    "Look at what the streamer does with the state between two chunks ('rnnscope help streaming').",
)


def stream_check(name: str) -> StreamCheck | None:
    """What belongs to the id of a finding; None if it is of no stream."""
    if name == OUTPUTS_CHECK:
        return OUTPUTS
    return CHUNKS if name.startswith(PREFIX) else None


StreamVerdict = Literal["same", "one", "several", "none"]


@dataclass(frozen=True)
class StreamFault:
    """A known fault of a streamer that gives just the outputs that were compared.

    Attributes
    ----------
    id : str
        As `rnnscope.streaming.faults.faults_of` gives them; behind a colon a number or a layer.
    words : str
        What the streamer does, with the period.
    period : int or None
        Steps from one place of the fault to the next; None where it has none.
    steps : tuple of int
        The first timesteps before which it happens.
    error : float
        The largest difference that is left, in units of the largest value.
    advice : str
        What to change there.
    """

    id: str
    words: str
    period: int | None
    steps: tuple[int, ...]
    error: float
    advice: str


@dataclass(frozen=True)
class StreamedOutputs:
    """Outputs that somebody streamed, held to those of the whole sequence.

    Attributes
    ----------
    reference : str
        Where they are from.
    compared : tuple of str
        Which array was held to which result.
    chunk_lengths : tuple of int
        As the user gives them.
    verdict : StreamVerdict
        ``same``: they are the whole's; ``one``, ``several``: known faults that give them, or
        ``none``.
    first_step, first_sequence : int or None
        Where they part from the whole.
    difference : float
        The largest difference from the whole, in units of the largest value.
    limit : float
        What counts as rounding.
    faults : tuple of StreamFault
    nearest : StreamFault or None
        Where none fits: what agrees the longest.
    nearest_until : int or None
        The first step from which that differs.
    tried : int
        Streamers that were simulated.
    """

    reference: str
    compared: tuple[str, ...]
    chunk_lengths: tuple[int, ...]
    verdict: StreamVerdict
    first_step: int | None
    first_sequence: int | None
    difference: float
    limit: float
    faults: tuple[StreamFault, ...] = ()
    nearest: StreamFault | None = None
    nearest_until: int | None = None
    tried: int = 0
