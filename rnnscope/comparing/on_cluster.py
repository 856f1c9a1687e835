"""Two sets of states measured by the workers of a cluster, to the result of one process."""

from __future__ import annotations

from rnnscope.clusters.dask_cluster import Cluster
from rnnscope.clusters.pieces import in_order, pieces
from rnnscope.comparing.compare import Measures, measure_states
from rnnscope.comparing.tolerance import DiffSettings
from rnnscope.files.arrays.reference import split_reference
from rnnscope.states.interface import ReadOptions
from rnnscope.states.recognise import recognise


def measure_on_cluster(
    a: str, b: str, reading: tuple[ReadOptions, ReadOptions], settings: DiffSettings,
    sequences: int, size: int, cluster: Cluster,
) -> Measures:  # fmt: skip
    """What `measure_states` gives of all sequences.

    Parameters
    ----------
    a, b : str
        Whole paths that the workers see.
    reading : two ReadOptions
    settings : DiffSettings
    sequences : int
        Of the larger one.
    size : int
        Bytes of its arrays.
    cluster : Cluster
    """
    paths = [split_reference(one) for one in (a, b)]
    cluster.require_files([file.absolute() for file, _ in paths])
    a, b = (f"{file.absolute()}{'' if part is None else f'::{part}'}" for file, part in paths)
    every = [(a, b, reading, settings, rows) for rows in pieces(sequences, size, cluster)]
    found: Measures = {}
    for part in in_order(cluster, measure_piece, every):
        for key, measure in part.items():
            if key in found:
                found[key].merge(measure)
            else:
                found[key] = measure
    return found


def measure_piece(
    a: str, b: str, reading: tuple[ReadOptions, ReadOptions], settings: DiffSettings, rows: slice
) -> Measures:
    """What a worker measures: the blocks that begin in some sequences."""
    one, other = recognise((a, b), reading)
    with one.states, other.states:
        return measure_states(one, other, settings, rows)
