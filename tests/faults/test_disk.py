"""A disk that refuses: one sentence, what was written before is intact, and after the mend it goes on."""

import errno
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest

from zatlas import files, measure
from zatlas.errors import ZatlasError
from zatlas.report import write_report
from zatlas.runs import folder as runs
from zatlas.runs import training
from zatlas.runs.folder import RunFolder
from zatlas.runs.opened import Run
from zatlas.training import checkpoint

from .trial import At, assert_same, config

pytestmark = pytest.mark.slow

resource = pytest.importorskip("resource")


SOFT, HARD = resource.getrlimit(resource.RLIMIT_FSIZE)


def limit(size):
    """No file may become larger: the system itself cuts the write short, as a full disk does."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, HARD))


@contextmanager
def largest_file(size):
    limit(size)
    try:
        yield
    finally:
        limit(SOFT)


@pytest.fixture(autouse=True)
def limit_lifted_again():
    yield
    limit(SOFT)


def test_full_at_a_checkpoint(tmp_path, whole):
    with pytest.raises(ZatlasError) as refused, largest_file(SOFT):
        training.train(config(), out=tmp_path / "run", watchers=[At(7, lambda: limit(20_000))])
    text = str(refused.value)
    assert "tensors.safetensors could not be written" in text
    assert "what was written before is intact" in text
    assert "The last good state is step-00000005" in text  # the better weights of step 6 waited in memory
    assert not list((tmp_path / "run").rglob("*.part"))
    run = RunFolder(tmp_path / "run")
    assert run.record["status"] == "failed"
    for step in checkpoint.steps(run.checkpoints_path):
        checkpoint.load(run.checkpoints_path / checkpoint.name_of(step))
    training.resume(tmp_path / "run")
    assert_same(tmp_path / "run", whole)


def test_full_at_a_line_of_metrics(tmp_path, whole):
    """The line is cut in the middle; neither reading nor resuming minds."""
    out = tmp_path / "run"

    def fill():
        limit((out / "metrics.jsonl").stat().st_size + 10)

    with (
        pytest.raises(ZatlasError, match=r"metrics\.jsonl could not be written: the file would be larger"),
        largest_file(SOFT),
    ):
        training.train(config(), out=out, watchers=[At(8, fill)])
    assert not (out / "metrics.jsonl").read_bytes().endswith(b"\n")
    assert RunFolder(out).metrics()[-1]["step"] == 8
    training.resume(out)
    assert_same(out, whole)


@pytest.mark.parametrize("size", [0, 300, 5000])  # config.toml, run.json and the first checkpoint
def test_full_at_the_beginning(size, tmp_path, whole):
    with pytest.raises(ZatlasError, match="could not be written"), largest_file(size):
        training.train(config(), out=tmp_path / "run")
    if (tmp_path / "run" / "run.json").exists():
        training.resume(tmp_path / "run")
    else:
        training.train(config(), out=tmp_path / "run")
    assert_same(tmp_path / "run", whole)


def test_full_while_evaluating_and_reporting(tmp_path, whole):
    run = shutil.copytree(whole, tmp_path / "run")
    opened = Run(run)
    measure.evaluate_run(opened)
    before = (run / "evaluation.json").read_bytes()
    with largest_file(100):
        found = measure.evaluate_run(opened)
    assert "evaluation.json could not be written" in found["not_kept"]
    assert found["figures"]["elbo"]["value"] == json.loads(before)["figures"]["elbo"]["value"]
    heard = []
    opened.say = heard.append
    with largest_file(20_000), pytest.raises(ZatlasError, match=r"index\.html could not be written"):
        write_report(opened)
    assert any(sentence.startswith("test loss: ") for sentence in heard)
    assert set(before.decode().split('"seconds"')[0]) <= set((run / "evaluation.json").read_text())
    assert not (run / "report" / "index.html").exists()
    assert not list(run.rglob("*.part"))
    assert_same(run, whole)


@pytest.mark.parametrize(
    ("number", "mend"),
    [
        (errno.ENOSPC, "the disk is full: free some space"),
        (errno.EROFS, "the file system is read-only: choose a folder that can be written"),
        (errno.EACCES, "permission is missing: choose a folder that can be written"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_every_refusal_is_a_sentence_that_names_the_mend(number, mend, tmp_path, monkeypatch, whole):
    real = os.fsync
    seen = 0

    def refuse(handle):
        nonlocal seen
        seen += 1
        if seen > 30:
            raise OSError(number, os.strerror(number))
        return real(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ZatlasError) as refused:
        training.train(config(), out=tmp_path / "run")
    assert f"could not be written: {mend}" in str(refused.value)
    monkeypatch.undo()
    training.resume(tmp_path / "run")
    assert_same(tmp_path / "run", whole)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting wants root on Linux")
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "zatlas", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_disk_that_is_really_full_or_read_only(small_disk, tmp_path, whole):
    with pytest.raises(ZatlasError, match="the disk is full: free some space"):
        training.train(config(), out=small_disk / "run")
    run = RunFolder(small_disk / "run")
    run.load_checkpoint()
    assert not list(small_disk.rglob("*.part"))
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(ZatlasError, match="the file system is read-only"):
        training.resume(small_disk / "run")
    with pytest.raises(ZatlasError, match="the file system is read-only"):
        training.train(config(), out=small_disk / "other")
    found = measure.evaluate_run(Run(small_disk / "run"))
    assert found["figures"]["elbo"]["count"] > 0
    assert "evaluation.json could not be written: the file system is read-only" in found["not_kept"]
    write_report_elsewhere = shutil.copytree(small_disk / "run", tmp_path / "copy")
    subprocess.run(["mount", "-o", "remount,rw,size=64m", small_disk], check=True)
    training.resume(small_disk / "run")
    assert_same(small_disk / "run", whole)
    training.resume(write_report_elsewhere)
    assert_same(write_report_elsewhere, whole)


def test_a_file_where_the_folder_is_wanted(tmp_path):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(ZatlasError, match="a file stands where a folder is wanted"):
            training.train(config(), out=out)


def test_a_write_is_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "file.json"
    files.write_bytes(path, b"old")
    for owner, name in ((os, "fsync"), (type(path), "replace")):

        def refuse(*args):
            raise OSError(errno.ENOSPC, "full")

        monkeypatch.setattr(owner, name, refuse)
        with pytest.raises(ZatlasError, match="the disk is full"):
            files.write_bytes(path, b"newer")
        with pytest.raises(ZatlasError, match="the disk is full"), files.replacing(path) as beside:
            beside.write_bytes(b"newer")
        monkeypatch.undo()
        assert path.read_bytes() == b"old"
        assert [p.name for p in path.parent.iterdir()] == ["file.json"]
    with pytest.raises(ZatlasError, match="would be larger"), largest_file(3):
        files.write_bytes(path, b"newer")
    assert path.read_bytes() == b"old"
    with pytest.raises(ZeroDivisionError), files.replacing(path) as beside:
        beside.write_bytes(bytes(1 // 0))
    assert path.read_bytes() == b"old"
    with files.replacing(path) as beside:
        assert beside.suffix == ".json"
        beside.write_bytes(b"newer")
    assert path.read_bytes() == b"newer"
    files.write_bytes(path, b"newest")
    assert path.read_bytes() == b"newest"
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]
    with pytest.raises(ZatlasError, match="a folder stands where a file is wanted"):
        files.write_bytes(path.parent, b"")
    assert [p.name for p in tmp_path.iterdir()] == ["deep"]


def test_a_pipe_is_written_into_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    files.write_bytes(pipe, b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert pipe.is_fifo()


def test_two_processes_that_ask_at_once_get_folders_of_their_own(tmp_path, monkeypatch):
    taken = runs.free_name(tmp_path, "digits")
    real, calls = runs.free_name, []

    def late(parent, stem):
        name = real(parent, stem)
        if not calls:
            name.mkdir()  # the other process was quicker
        calls.append(name)
        return name

    monkeypatch.setattr(runs, "free_name", late)
    made = runs.new_folder(tmp_path, "digits")
    assert made.is_dir()
    assert made != taken
