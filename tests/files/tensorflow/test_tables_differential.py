"""Every TensorFlow checkpoint at hand reads as TensorFlow itself reads it: names, shapes, bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnscope.files.tensorflow.bundle import TensorBundle
from rnnscope.files.tensorflow.v1_table import V1Table, is_v1_table

ROOT = Path(__file__).resolve().parents[3]
PLACES = {"sample_data": ROOT / "sample_data", "zoo": ROOT.parent / "shared" / "zoo"}


def stored(folder):
    """(what TensorFlow calls it, what opens it) of every checkpoint below a folder."""
    for index in sorted(folder.rglob("*.index")):
        prefix = index.with_suffix("")
        yield prefix, lambda prefix=prefix: TensorBundle.open(prefix)
    for path in sorted(folder.rglob("*.ckpt")):
        if is_v1_table(path):
            yield path, lambda path=path: V1Table.open([path])


@pytest.mark.parametrize("place", PLACES)
def test_tables_hold_what_tensorflow_finds_in_them(tf, place):
    folder = PLACES[place]
    if not folder.is_dir():
        pytest.skip(f"no {place} beside this repository")
    count = 0
    for prefix, open_table in stored(folder):
        table = open_table()
        reader = tf.train.load_checkpoint(str(prefix))
        shapes = reader.get_variable_to_shape_map()
        assert set(table.variables) == set(shapes), prefix
        for name, variable in table.variables.items():
            assert list(variable.shape) == shapes[name]
            ours, theirs = table.read(name), reader.get_tensor(name)
            if isinstance(theirs, bytes):  # NumPy would cut zero bytes off its end
                assert ours.tolist() == theirs
                continue
            theirs = np.asarray(theirs)
            assert ours.dtype == theirs.dtype
            assert ours.tobytes() == theirs.tobytes(), (prefix, name)
        count += 1
    assert count >= 2
