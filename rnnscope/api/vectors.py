"""Test vectors for an implementation in any language, from Python."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnscope.vectors.result import VectorsCheck, VectorsReport


def write_vectors(
    checkpoint: str | os.PathLike[str],
    path: str | os.PathLike[str],
    /,
    *,
    steps: int = 20,
    sequences: int = 3,
    seed: int = 0,
    weights: bool = False,
    header: bool | None = None,
    force: bool = False,
    progress: Callable[[str, float], None] | None = None,
    **options: Any,
) -> VectorsReport:
    """Write test vectors for an implementation of a model's recurrent layers in any language.

    Inputs are searched on which every reading that `explain` knows differs by a hundred tolerances
    or more; what is expected is computed in forty digits and rounded once to the dtype of the
    weights. The same checkpoint, options and seed give the same bytes on every machine.

    Parameters
    ----------
    checkpoint : str or path
        What `rnnscope.open_model` opens.
    path : str or path
        The folder: ``vectors.json``, ``.npz``, ``.safetensors``, ``.h`` and two runners.
    steps, sequences : int
        Of the inputs that are searched.
    seed : int
    weights : bool
        Whether the weights are written as well.
    header : bool, optional
        Whether ``vectors.h`` and ``runner.c`` are written; None: if they have 8 MB at most.
    force : bool
        Replace a folder of vectors.
    progress : callable, optional
        ``progress(words, part)``.
    **options
        Options of the network and its layers as of `rnnscope.run`: ``layers``, ``layout``,
        ``forget_bias``, …

    Returns
    -------
    VectorsReport
        The cases, the tolerance, and which readings they do not tell apart, with the reason.

    Raises
    ------
    RnnscopeError
        No layer can have vectors, or the folder cannot be written; nothing is left then.

    Examples
    --------
    >>> import rnnscope, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = rnnscope.write_vectors("sample_data/keras2_masked/model.h5", f"{folder}/v")
    >>> done.cases[0].name, done.tolerance < 1e-5
    ('lstm-1', True)
    """
    from contextlib import ExitStack

    from rnnscope.options.unread import refuse_unread
    from rnnscope.vectors.explained import planned_for_vectors
    from rnnscope.vectors.folder.writing import check_folder_target, write_folder
    from rnnscope.vectors.making import make_vectors
    from rnnscope.vectors.result import CaseReport, VectorsReport
    from rnnscope.vectors.searching import VectorsRequest

    refuse_unread(options, ("network", "decoder", "layer"), "inputs are searched, and what is "
                  "expected is computed in forty digits")  # fmt: skip
    request = VectorsRequest(sequences, steps, seed, weights)
    request.require_sense()
    target = check_folder_target(Path(path), force=force)
    with ExitStack() as stack:
        planned = planned_for_vectors(stack, Path(checkpoint), options)
        made = make_vectors(planned, request, progress)
    files, notes = write_folder(made, target, header=header)
    cases = tuple(
        CaseReport(
            name=case.name,
            layer=case.layer,
            sequences=case.x.shape[0],
            timesteps=case.x.shape[1],
            inputs=case.x.shape[2],
            units=case.outputs.shape[-1],
            lengths=tuple(case.lengths.tolist()),
            tolerance=case.tolerance,
        )
        for case in made.cases
    )
    kinds = {case.dtype.name for case in made.cases}
    return VectorsReport(
        checkpoint=str(checkpoint),
        target=str(path),
        dtype=" and ".join(sorted(kinds)),
        tolerance=made.tolerance,
        readings=made.readings,
        not_separated=made.not_separated,
        cases=cases,
        files=files,
        left_out=made.left_out,
        notes=notes,
    )


def check_vectors(
    path: str | os.PathLike[str],
    theirs: Any,
    /,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    budget: float = 20.0,
    progress: Callable[[str, float], None] | None = None,
) -> VectorsCheck:
    """Say which value of an implementation is first wrong, and which reading gives its numbers.

    Parameters
    ----------
    path : str or path
        A folder that `rnnscope.write_vectors` wrote.
    theirs : str, path, or mapping
        What the implementation computed: a JSON document of the shape of ``vectors.json`` with its
        own numbers under ``expected`` and ``final``, or named arrays (``.npz``, ``.safetensors``)
        as ``CASE/expected/c``. What is left out is not compared.
    checkpoint : str or path, optional
        The checkpoint of the vectors; it is looked for beside them and in this folder.
    budget : float
        Seconds for explaining what is wrong; 0: nothing is explained.
    progress : callable, optional
        ``progress(words, part)``.

    Returns
    -------
    VectorsCheck
        ``.status`` is ``"pass"``, ``"fail"`` or ``"skip"``; ``.cases`` has what is first wrong.

    Raises
    ------
    RnnscopeError
        Something cannot be read, or nothing in it belongs to the vectors.

    Examples
    --------
    >>> import rnnscope, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = rnnscope.write_vectors("sample_data/keras2_masked/model.h5", f"{folder}/v")
    ...     rnnscope.check_vectors(f"{folder}/v", f"{folder}/v/vectors.json").status
    'pass'
    """
    from rnnscope.vectors.checking import check_vectors as check

    return check(
        Path(path),
        theirs,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        budget=budget,
        progress=progress,
    )
