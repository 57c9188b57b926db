"""A run folder that is moved, removed or replaced under its training: no half is left, and what is said is so."""

import shutil

import pytest

from zatlas.errors import ZatlasError
from zatlas.runs import training
from zatlas.runs.folder import RunFolder

from .trial import At, assert_same, config

pytestmark = pytest.mark.slow


def files(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*")) if folder.exists() else None


def disturbed(tmp_path, act, step=8):
    out = tmp_path / "run"
    with pytest.raises(ZatlasError) as refused:
        training.train(config(), out=out, watchers=[At(step, lambda: act(out))])
    return str(refused.value)


@pytest.mark.parametrize("step", [8, 24])  # between checkpoints; after the last, before the figures of the test rows
def test_moved_it_goes_on_from_its_new_place(step, tmp_path, whole):
    said = disturbed(tmp_path, lambda out: out.rename(tmp_path / "moved"), step)
    assert "run no longer holds this run, which was moved, removed or replaced" in said
    assert "The last good state" not in said
    assert not (tmp_path / "run").exists()
    RunFolder(tmp_path / "moved").load_checkpoint()
    training.resume(tmp_path / "moved")
    assert_same(tmp_path / "moved", whole)


def test_removed_it_is_not_made_again_by_halves(tmp_path):
    said = disturbed(tmp_path, shutil.rmtree)
    assert "where it was removed, they are gone. Training was at step" in said
    assert "what was written before is intact" not in said
    assert not (tmp_path / "run").exists()


def test_another_folder_in_its_place_is_left_alone(tmp_path, whole):
    def replace(out):
        out.rename(tmp_path / "moved")
        shutil.copytree(whole, out)

    disturbed(tmp_path, replace)
    assert_same(tmp_path / "run", whole)
    assert files(tmp_path / "run") == files(whole)


def test_a_ctrl_c_after_it_was_removed_says_nothing_is_saved(tmp_path):
    def act():
        shutil.rmtree(tmp_path / "run")
        raise KeyboardInterrupt

    heard = []
    with pytest.raises(KeyboardInterrupt):
        training.train(config(), out=tmp_path / "run", watchers=[At(8, act)], say=heard.append)
    assert "is saved" not in heard[-1]
    assert "no longer holds this run" in heard[-1]
    assert not (tmp_path / "run").exists()
