"""``rnnscope inspect``."""

from __future__ import annotations

from pathlib import Path

import click

from rnnscope.cli.options import format_option, layout_option, limit_options, print_result


@click.command("inspect")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@layout_option
@limit_options
@format_option("inspect")
def command(checkpoint: Path, layout: str | None, report_format: str) -> None:
    """Show every recurrent layer of CHECKPOINT: cell, sizes, options and where each comes from.

    CHECKPOINT is whatever TensorFlow 0.12 to 2.x, Keras 1 to 3, PyTorch or ONNX saved, or an .npz
    of named arrays: a file, a folder, or the prefix of a TensorFlow checkpoint. It is read as data:
    nothing of it is executed, and no framework is imported.

    \b
    rnnscope inspect sample_data/lstm_float64/model.ckpt
    rnnscope inspect model.keras --format json
    """
    from rnnscope.checkpoints import read_checkpoint
    from rnnscope.record.results import inspect_report

    print_result(inspect_report(read_checkpoint(checkpoint, layout=layout)), report_format)
