"""A part of a file is a file of its own."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.files.archives.zip_window import FileWindow

CONTENT = bytes(range(256)) * 4
CALLS = st.lists(
    st.tuples(st.sampled_from(["read", "begin", "on", "end"]), st.integers(0, 700)), max_size=12
)


@given(start=st.integers(0, 600), size=st.integers(0, 400), calls=CALLS)
def test_it_reads_as_the_bytes_alone_would(
    tmp_path_factory: pytest.TempPathFactory, start: int, size: int,
    calls: list[tuple[str, int]],
) -> None:  # fmt: skip
    path = tmp_path_factory.getbasetemp() / "content"
    if not path.exists():
        path.write_bytes(CONTENT)
    alone = io.BytesIO(CONTENT[start : start + size])
    with FileWindow(path, start, size) as window:
        for what, number in calls:
            if what == "read":
                assert window.read(number) == alone.read(number)
            else:
                offset = -number if what == "end" else number
                whence = {"begin": io.SEEK_SET, "on": io.SEEK_CUR, "end": io.SEEK_END}[what]
                if what == "end" and number > size:
                    with pytest.raises(ValueError, match="before the beginning"):
                        window.seek(offset, whence)
                    continue
                assert window.seek(offset, whence) == alone.seek(offset, whence)
            assert window.tell() == alone.tell()
    assert window.closed
