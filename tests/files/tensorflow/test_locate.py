"""What a user names leads to one checkpoint, or to an error that lists what is there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnscope.checkpoints import read_checkpoint
from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import put_limits_back, set_limits
from rnnscope.files.tensorflow.checkpoint_state import latest_checkpoint
from rnnscope.files.tensorflow.locate import Located, locate, sniff


@pytest.fixture(scope="session")
def trained(tf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as training leaves it: steps 100, 200 and 1000, the graph beside the last one."""
    folder, v1 = tmp_path_factory.mktemp("trained"), tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable("kernel", [2, 4], use_resource=False)
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver()
        for step in (100, 200, 1000):
            graph = step == 1000
            saver.save(session, str(folder / "model.ckpt"), step, write_meta_graph=graph)
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of `trained`; the original stays, as another run's folder would."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def state(folder: Path, named: str) -> Path:
    path = folder / "checkpoint"
    path.write_text(f'model_checkpoint_path: "{named}"\nall_model_checkpoint_paths: "{named}"\n')
    return path


def remove(folder: Path, pattern: str) -> None:
    for path in folder.glob(pattern):
        path.unlink()


@pytest.mark.parametrize("suffix", ["", ".index", ".meta", ".data-00000-of-00001"])
def test_every_file_of_a_checkpoint_leads_to_it(run: Path, suffix: str) -> None:
    path = run / f"model.ckpt-1000{suffix}"
    prefix = run / "model.ckpt-1000"
    assert locate(path) == Located(prefix, prefix.with_name("model.ckpt-1000.meta"), "")
    assert sniff(path)


@pytest.mark.parametrize("name", ["", "checkpoint"])
def test_the_checkpoint_file_decides_and_the_note_says_so(run: Path, name: str) -> None:
    found = locate(run / name)
    assert found.prefix == run / "model.ckpt-1000"
    assert found.note == (
        "model.ckpt-1000 was read: the file checkpoint names it as the latest of 3 "
        "(model.ckpt-100, model.ckpt-200, model.ckpt-1000)."
    )
    assert sniff(run / name)


def test_a_step_without_a_graph_takes_that_of_another(run: Path) -> None:
    found = locate(run / "model.ckpt-200")
    assert found.meta == run / "model.ckpt-1000.meta"
    assert found.note == (
        "The graph was read from model.ckpt-1000.meta: model.ckpt-200 has no .meta of its own."
    )


def test_the_nearest_step_lends_its_graph(run: Path) -> None:
    (run / "model.ckpt-100.meta").touch()
    (run / "model.ckpt_other-200.meta").touch()
    assert locate(run / "model.ckpt-200").meta == run / "model.ckpt-100.meta"
    remove(run, "*.meta")
    assert locate(run / "model.ckpt-200") == Located(run / "model.ckpt-200", None, "")


def test_a_moved_folder_is_read_where_it_is(trained: Path, run: Path) -> None:
    """The absolute path may still exist and hold another run: what lies beside goes first."""
    state(run, str(trained / "model.ckpt-200"))
    assert locate(run).prefix == run / "model.ckpt-200"
    state(run, "/gone/training/run/model.ckpt-100")
    assert locate(run).prefix == run / "model.ckpt-100"
    state(run, r"C:\\runs\\model.ckpt-100")
    assert locate(run).prefix == run / "model.ckpt-100"


def test_an_absolute_path_is_followed_where_nothing_lies_beside_and_the_user_allows_it(
    trained: Path, tmp_path: Path
) -> None:
    state(tmp_path, str(trained / "model.ckpt-200"))
    with pytest.raises(CheckpointError, match="outside its own folder"):
        locate(tmp_path)
    before = set_limits(allow_outside=True)
    try:
        found = locate(tmp_path)
    finally:
        put_limits_back(before)
    assert found.prefix == trained / "model.ckpt-200"
    assert f"in {trained}" in found.note


def test_a_relative_path_is_followed_first(run: Path) -> None:
    shutil.copytree(run, run / "best")
    state(run, "best/model.ckpt-200")
    assert locate(run).prefix == run / "best" / "model.ckpt-200"


def test_a_checkpoint_file_that_names_nothing_there(run: Path) -> None:
    state(run, "model.ckpt-3000")
    with pytest.raises(CheckpointError, match="names a checkpoint that is not there") as caught:
        locate(run)
    assert caught.value.expected == "model.ckpt-3000.index"
    assert caught.value.found == "model.ckpt-100, model.ckpt-200, model.ckpt-1000"
    assert sniff(run)


@pytest.mark.parametrize("content", [None, b"", b"\x89HDF", b'model_checkpoint_path: ""'])
def test_several_checkpoints_and_nothing_to_decide(run: Path, content: bytes | None) -> None:
    (run / "checkpoint").unlink()
    if content is not None:
        (run / "checkpoint").write_bytes(content)
    with pytest.raises(CheckpointError, match="several checkpoints") as caught:
        locate(run)
    assert caught.value.found == "model.ckpt-100, model.ckpt-200, model.ckpt-1000"
    assert "model.ckpt-1000" in str(caught.value.hint)
    assert caught.value.exit_code == 2
    assert sniff(run)


def test_two_base_names_and_nothing_to_decide(run: Path) -> None:
    remove(run, "checkpoint")
    for path in list(run.glob("model.ckpt-1000.*")):
        path.rename(path.with_name(path.name.replace("model.ckpt-1000", "encoder.ckpt")))
    remove(run, "model.ckpt-100.*")
    with pytest.raises(CheckpointError, match="several checkpoints") as caught:
        locate(run)
    assert caught.value.found == "encoder.ckpt, model.ckpt-200"


def test_the_only_checkpoint_of_a_folder(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remove(run, "checkpoint")
    remove(run, "model.ckpt-?00.*")
    (run / "._model.ckpt-1000.index").touch()  # what macOS leaves on foreign disks
    (run / "graph.pbtxt").touch()
    monkeypatch.chdir(run)
    found = locate(Path())
    assert found.prefix.resolve() == run / "model.ckpt-1000"
    assert found.note == "model.ckpt-1000 was read: the only checkpoint of the folder."
    assert sniff(Path())


def test_a_base_name_without_its_step_lists_the_steps(run: Path) -> None:
    with pytest.raises(CheckpointError, match="training step must be named") as caught:
        locate(run / "model.ckpt")
    assert caught.value.found == "model.ckpt-100, model.ckpt-200, model.ckpt-1000"
    assert sniff(run / "model.ckpt")


def test_a_prefix_goes_before_a_folder_of_its_name(run: Path) -> None:
    (run / "model.ckpt-200").mkdir()
    assert locate(run / "model.ckpt-200").prefix == run / "model.ckpt-200"
    assert sniff(run / "model.ckpt-200")


@pytest.mark.parametrize("name", ["model.ckpt-200", "model.ckpt-200.data-00000-of-00001"])
def test_shards_without_an_index_are_claimed_and_named(run: Path, name: str) -> None:
    (run / "model.ckpt-200.index").unlink()
    assert sniff(run / name)
    with pytest.raises(CheckpointError, match="index is missing") as caught:
        locate(run / name)
    assert caught.value.expected == "model.ckpt-200.index"


@pytest.mark.parametrize("name", ["missing", "missing.index", "missing/model.ckpt", "", "x" * 300])
def test_nothing_there(tmp_path: Path, name: str) -> None:
    assert not sniff(tmp_path / name)
    with pytest.raises(CheckpointError, match="where: "):
        locate(tmp_path / name)


def test_other_files_are_not_claimed(tmp_path: Path) -> None:
    for name in ("model.h5", "faiss.index", "model.meta", "checkpoint"):
        (tmp_path / name).write_bytes(b"something else")
        assert not sniff(tmp_path / name)
    assert not sniff(tmp_path)
    assert not sniff(Path("nul\0"))


def test_v1_checkpoints_are_left_to_their_own_reader(tf, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable("kernel", [2, 4], use_resource=False)
        session.run(v1.global_variables_initializer())
        v1.train.Saver(write_version=v1.train.SaverDef.V1).save(
            session, str(tmp_path / "model.ckpt")
        )
    for name in ("", "checkpoint", "model.ckpt", "model.ckpt.meta"):
        assert not sniff(tmp_path / name)
    state(tmp_path, "model.ckpt-?????-of-00002")
    assert not sniff(tmp_path)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_the_checkpoint_file_is_read_as_protobuf_wrote_it(
    tf, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "checkpoint"
    message = tf.compat.v1.train.generate_checkpoint_state_proto("/elsewhere", name)
    path.write_text(str(message))
    assert latest_checkpoint(path) == message.model_checkpoint_path


def test_text_protos_escapes_and_quotes(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    path.write_bytes(rb"model_checkpoint_path: 'a\x2d\142\n\"' # and so on")
    assert latest_checkpoint(path) == 'a-b\n"'
    path.write_bytes(rb'model_checkpoint_path: "nul\0"')
    assert latest_checkpoint(path) is None


def test_a_file_that_may_not_be_read_is_an_error_in_words(tmp_path, monkeypatch):
    path = tmp_path / "model.bin"
    path.write_bytes(b"something else")
    open_ = Path.open

    def refusing(self, *arguments, **named):
        if self == path:
            raise PermissionError(13, "Permission denied")
        return open_(self, *arguments, **named)

    monkeypatch.setattr(Path, "open", refusing)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert caught.value.found == "a file that cannot be read: Permission denied"
