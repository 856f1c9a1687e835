"""Machine code kept from one process to the next."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from lstm_cases import make_layer

from rnnscope.engines.compiled import code_cache

posix = pytest.mark.skipif(os.name != "posix", reason="modes and owners are those of POSIX")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    return tmp_path / "rnnscope"


def test_what_was_saved_is_loaded(folder):
    assert code_cache.load("a") is None
    code_cache.save("a", b"code")
    code_cache.save("b", b"other")
    assert code_cache.load("a") == b"code"
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]


def test_a_name_is_of_everything_that_code_is_made_from(tmp_path):
    source = tmp_path / "source.py"
    source.write_text("1")
    first = code_cache.name("kind", "cpu", sources=[str(source)])
    assert first == code_cache.name("kind", "cpu", sources=[str(source)])
    others = {code_cache.name("kind", "other", sources=[str(source)]),
              code_cache.name("kindcpu", "", sources=[str(source)])}  # fmt: skip
    source.write_text("2")
    others.add(code_cache.name("kind", "cpu", sources=[str(source)]))
    assert len(others - {first}) == 3


DAMAGES = {
    "cut": lambda kept: kept[:-1],
    "changed": lambda kept: b"\0" + kept[1:],
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_file_is_as_good_as_none(folder, damage):
    code_cache.save("a", b"code")
    (folder / "a").write_bytes(damage((folder / "a").read_bytes()))
    assert code_cache.load("a") is None
    code_cache.save("a", b"code")
    assert code_cache.load("a") == b"code"


@posix
def test_what_others_may_write_to_is_neither_read_nor_written(folder):
    code_cache.save("a", b"code")
    folder.chmod(0o777)
    assert code_cache.load("a") is None
    code_cache.save("b", b"code")
    assert not (folder / "b").exists()
    folder.chmod(0o700)
    (folder / "a").chmod(0o666)
    assert code_cache.load("a") is None


@posix
@pytest.mark.parametrize(
    ("owner", "mode", "is_trusted"),
    [(0, 0o755, True), (1000, 0o700, True), (1000, 0o644, True), (1001, 0o700, False),
     (1000, 0o770, False), (1000, 0o702, False), (0, 0o777, False)],
)  # fmt: skip
def test_only_the_user_and_the_system_are_trusted(monkeypatch, owner, mode, is_trusted):
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    found = os.stat_result((mode, 0, 0, 1, owner, 0, 0, 0, 0, 0))
    assert code_cache.trusted(found) is is_trusted


def test_without_a_folder_nothing_is_kept_and_nothing_fails(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(sys, "platform", "linux")
    code_cache.save("a", b"code")
    assert code_cache.load("a") is None


def test_a_second_process_compiles_nothing(folder, monkeypatch):
    pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    from rnnscope.engines.compiled import PackedCell, cpu, kernels

    cpu.target()  # which may be kept, too
    before = len(list(folder.glob("*")))
    monkeypatch.setattr(kernels, "_compiled", kernels._compiled.__wrapped__)
    made, cell = [], make_layer(np.random.default_rng(0), 3, 4).cell
    compile_ = kernels.machine_code
    monkeypatch.setattr(kernels, "machine_code", lambda module: made.append(1) or compile_(module))
    for _ in range(2):
        PackedCell(cell).compile()
    assert made == [1]
    assert len(list(folder.iterdir())) == before + 1


def test_threads_that_come_together_pack_the_weights_once(folder, monkeypatch):
    """Python locks a cached property up to 3.11 alone; twice the weights may not find room."""
    pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    from rnnscope.engines.compiled import PackedCell
    from rnnscope.engines.compiled.panels import Panels

    packed, made, of = PackedCell(make_layer(np.random.default_rng(0), 3, 4).cell), [], Panels.of

    def slowly(*args, **keywords):
        made.append(1)
        time.sleep(0.1)
        return of(*args, **keywords)

    monkeypatch.setattr(Panels, "of", slowly)
    with ThreadPoolExecutor(2) as pool:
        for job in [pool.submit(packed.compile) for _ in range(2)]:
            job.result()
    assert made == [1]
