"""Writing a checkpoint's recurrent layers in another format, from Python."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnscope.converting.result import ConversionReport


def convert(
    checkpoint: str | os.PathLike[str],
    to: str,
    path: str | os.PathLike[str] | None = None,
    /,
    *,
    layers: Iterable[str] = (),
    as_layout: str | None = None,
    expose_states: bool = False,
    dry_run: bool = False,
    force: bool = False,
    **options: Any,
) -> ConversionReport:
    """Write the recurrent layers of a checkpoint in another format.

    The file is read back and its states are compared with the source's before it gets its name.

    Parameters
    ----------
    checkpoint : str or path
        What `rnnscope.open_model` opens.
    to : str
        ``"torch"``, ``"safetensors"``, ``"npz"``, ``"keras"``, ``"onnx"``, ``"tf1"`` or
        ``"flax"``.
    path : str or path, optional
        The file, or for ``"tf1"`` the new folder; only a dry run needs none.
    layers : iterable of str
        Globs of recurrent layers; none: all.
    as_layout : str, optional
        Of an ``"npz"``: ``"torch"`` or ``"tf1"``, whose names and gate order its arrays have.
    expose_states : bool
        Of ``"onnx"``: the graph returns c and m of every step, too.
    dry_run : bool
        Prove everything, keep nothing.
    force : bool
        Replace an existing file.
    **options
        Options of layers as of `rnnscope.run`: ``layout``, ``forget_bias``, ``activation``, …

    Returns
    -------
    ConversionReport
        What was written, the largest difference of its states, and how to load it.

    Raises
    ------
    RnnscopeError
        The target cannot compute a layer (the message says which could), or the file cannot be
        written; nothing is left then.

    Examples
    --------
    >>> import rnnscope
    >>> done = rnnscope.convert(
    ...     "sample_data/keras_stack/model.h5", "torch", dry_run=True
    ... )
    >>> [(layer.name, layer.kernels_equal) for layer in done.layers]
    [('lstm', True), ('lstm_1', True), ('lstm_2', True)]
    """
    from rnnscope.checkpoints import read_checkpoint
    from rnnscope.converting.convert import ConversionRequest, convert_checkpoint
    from rnnscope.converting.interface import FormatOptions
    from rnnscope.options.unread import refuse_unread
    from rnnscope.record.planning import layer_options
    from rnnscope.record.recipes.recipe import Recipe
    from rnnscope.running import override_options

    refuse_unread(options, ("layer",), "weights are written, and nothing is run over an input")
    recipe = Recipe.make(checkpoint, "", **options)
    found = read_checkpoint(Path(checkpoint), layout=recipe["layout"])
    network = override_options(
        found.network,
        layer_options(recipe),
        insist=recipe["override"],
        dialect_names={"hard_sigmoid": found.hard_sigmoid},
    )
    request = ConversionRequest(
        to=to,
        target=None if path is None else Path(path),
        layers=(layers,) if isinstance(layers, str) else tuple(layers),
        options=FormatOptions(as_layout, expose_states),
        force=force,
        dry_run=dry_run,
    )
    return convert_checkpoint(found, network, request)
