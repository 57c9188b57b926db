"""Run folders, weights and outputs at paths that are not UTF-8, go in a circle, or name no home folder."""

import os
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ODD = os.fsdecode(b"r\xffn")


@pytest.fixture
def odd_run(plain_runs, tmp_path):
    try:
        return shutil.copytree(plain_runs / "ae", tmp_path / ODD)
    except OSError:
        pytest.skip("this file system takes no name that is not UTF-8")


def test_a_run_folder_that_is_not_utf8_works_like_any_other(zatlas, odd_run):
    for words in (
        ("evaluate", odd_run, "--json"),
        ("sample", odd_run, "-n", 2),  # which fits a prior, keeps it and reads it again
        ("sample", odd_run, "-n", 2, "--out", ODD + ".png"),
        ("compare", odd_run, odd_run, "--json"),
        ("train", "--resume", odd_run, "--steps", 5, "-q"),
    ):
        answer = zatlas(*words)
        assert answer.status == 0, answer.err
    assert Path(ODD + ".npz").is_file()


@pytest.mark.parametrize("kind", ["loop", "~nouser/x", "bytes"])
def test_what_leads_nowhere_is_refused_in_a_sentence(kind, zatlas, plain_runs, tmp_path):
    if kind == "loop":
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
    path = {"loop": tmp_path / "loop", "bytes": tmp_path / ODD}.get(kind, kind)
    for words in (
        ("evaluate", path),
        ("import", path, "--from", "disvae"),
        ("train", "digits", "--config", path),
        ("train", "digits", "--steps", 2, "--out", Path(path) / "file" if kind == "bytes" else path),
        ("sample", plain_runs / "vae", "-n", 2, "--out", Path(path) / "it.png"),
    ):
        answer = zatlas(*words)
        assert "something went wrong" not in answer.err
        assert answer.status in (0, 1, 2)
        assert "Traceback" not in answer.err
