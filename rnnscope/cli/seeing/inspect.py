"""``rnnscope inspect``."""

from __future__ import annotations

from pathlib import Path

import click

from rnnscope.cli.options.layout import layout_option
from rnnscope.cli.options.limits import limit_options
from rnnscope.cli.options.report_format import format_option
from rnnscope.cli.terminal.printing import print_result


@click.command("inspect")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@layout_option
@limit_options
@format_option("inspect")
def command(path: Path, layout: str | None, report_format: str) -> None:
    """Show what FILE holds: every recurrent layer of a checkpoint, or a trace, an input, a suite.

    A checkpoint is whatever TensorFlow 0.12 to 2.x, Keras 1 to 3, PyTorch or ONNX saved, or, with
    --layout, an .npz of named arrays: a file, a folder, or the prefix of a TensorFlow checkpoint.
    Its cells, sizes, options and where each comes from are shown, and weights that are NaN, all
    zero or of an odd size. It is read as data: nothing of it is executed, and no framework is
    imported. Of a trace the tree, shapes, options and recipe are shown, of an input its arrays;
    FILE::NAME is one of them.

    \b
    rnnscope inspect sample_data/lstm_float64/model.ckpt
    rnnscope inspect model.keras --format json
    rnnscope inspect sample_data/lstm_float64/inputs.npz
    """
    from rnnscope.record.inspecting import inspect_path

    print_result(inspect_path(path, layout=layout), report_format)
