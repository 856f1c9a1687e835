"""What a conversion wrote, and how it was held to its source."""

from __future__ import annotations

from typing import ClassVar

from rnnscope.deferred_dataclass import dataclass
from rnnscope.printable import Printable


@dataclass(frozen=True)
class ConvertedLayer:
    """One direction of a recurrent layer, read back and compared.

    Attributes
    ----------
    name : str
        In the source.
    written_as : str
        What reading the written file calls it.
    kind : str
    input_size, num_units, output_size : int
    dtype : str
    kernels_equal : bool
        Whether both kernels, read back, are the source's bit for bit.
    largest_difference : float
        Of its states, over every step of the random input.
    """

    name: str
    written_as: str
    kind: str
    input_size: int
    num_units: int
    output_size: int
    dtype: str
    kernels_equal: bool
    largest_difference: float


@dataclass(frozen=True)
class ConversionReport(Printable):
    """What was written.

    Attributes
    ----------
    source, source_format, framework : str
        What was read, by which reader, and who wrote that.
    format : str
        A key of WEIGHT_FORMATS.
    target : str
        Empty for a dry run.
    layers : tuple of ConvertedLayer
    largest_difference : float
        Of all states, in `limit`.
    limit : float
        What the difference had to stay below, as a part of the largest value.
    computed_by : str
        Who computes with the file; its own sums round in another order.
    proof : str
        What was compared, in words.
    folded, left_out, notes : tuple of str
        Options that are in weights now; what the file does not hold; what else is to be known.
    load : tuple of str
        Lines of code that load it.
    """

    report_kind: ClassVar[str] = "convert"

    source: str
    source_format: str
    framework: str
    format: str
    target: str
    layers: tuple[ConvertedLayer, ...]
    largest_difference: float
    limit: float
    computed_by: str
    proof: str
    folded: tuple[str, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    load: tuple[str, ...]
