"""Files that were cut short or altered are named, never half-loaded, and an earlier checkpoint takes over."""

import functools
import json
import shutil

import numpy as np
import pytest

from zatlas import measure
from zatlas.config import make_config
from zatlas.errors import UsageError, ZatlasError
from zatlas.report import write_report
from zatlas.runs import training
from zatlas.runs.folder import RunFolder
from zatlas.runs.opened import Run
from zatlas.training import checkpoint

from .trial import STEPS, assert_same, config

pytestmark = pytest.mark.slow

LAST = f"checkpoints/step-{STEPS:08d}"


@pytest.fixture
def run(tmp_path, whole):
    return shutil.copytree(whole, tmp_path / "run")


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def junk(path):
    path.write_bytes(b"\xff\xfe\x00[" * 50)


DAMAGE = pytest.mark.parametrize("damage", [cut, flip, empty, junk, lambda path: path.unlink()])


@DAMAGE
@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_named_and_an_earlier_one_used(damage, name, run):
    damage(run / LAST / name)
    heard = []
    opened = Run(run, say=heard.append)
    assert opened.step < STEPS
    assert len(heard) == 1
    assert f"{LAST}/{name}" in heard[0]
    assert heard[0].endswith(f"Step {opened.step} is used.")


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json"])
def test_training_goes_on_from_an_earlier_checkpoint(name, run, whole):
    flip(run / LAST / name)
    heard = []
    training.resume(run, say=heard.append)
    assert any(f"{LAST}/{name}" in sentence for sentence in heard)
    assert_same(run, whole)


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json"])
def test_a_damaged_checkpoint_that_was_asked_for_is_refused(name, run):
    flip(run / LAST / name)
    with pytest.raises(ZatlasError, match=rf"step-{STEPS:08d}/{name} is damaged"):
        Run(run, checkpoint=f"step-{STEPS:08d}")


def test_pictures_of_steps_that_were_taken_back_go_with_them(run):
    """With other limits the validations come at other steps, and a snapshot of the first attempt would stay."""
    flip(run / LAST / "tensors.safetensors")
    training.resume(run, changes={"steps": STEPS - 1})
    assert [step for step, _ in RunFolder(run).snapshots()][-1] == STEPS - 1
    assert checkpoint.steps(run / "checkpoints")[-1] == STEPS - 1


def test_without_a_sound_checkpoint_nothing_is_loaded(run):
    for state in run.glob("checkpoints/*/state.json"):
        flip(state)
    for use in (Run, training.resume):
        with pytest.raises(ZatlasError, match=r"step-\d+/state\.json is damaged"):
            use(run)


def test_every_bit_of_a_record_is_guarded(run):
    state = run / LAST / "state.json"
    record = json.loads(state.read_text())
    record["trainer"]["position"] += 1
    state.write_text(json.dumps(record))
    with pytest.raises(ZatlasError, match=r"state\.json is damaged"):
        checkpoint.load(run / LAST)


def test_a_half_removed_checkpoint_is_never_seen(run, monkeypatch):
    """A kill while a folder is removed leaves nothing under the checkpoint's name, and the next training sweeps up."""
    monkeypatch.setattr(shutil, "rmtree", lambda *a, **k: None)
    checkpoint.remove(run / LAST)
    assert checkpoint.steps(run / "checkpoints")[-1] < STEPS
    assert list((run / "checkpoints").glob(".*.part"))
    (run / ".run.json.1.part").touch()
    monkeypatch.undo()
    training.resume(run)
    assert not list(run.rglob("*.part"))


@DAMAGE
def test_a_damaged_record_of_the_run(damage, run):
    damage(run / "run.json")
    if damage is flip:  # what a flipped bit does depends on the bit: here it hits the name of an entry
        shutil.copy(run / "run.json", run / "kept")
        (run / "run.json").write_text((run / "kept").read_text().replace('"spec"', '"spac"'))
    for use in (Run, training.resume):
        with pytest.raises(ZatlasError, match=r"run\.json"):
            use(run)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("config_sha256", None),
        ("data", []),
        ("data", {"spec": 3}),
        ("data.spec.shape", ["x"]),
        ("checkpoints", 3),
        ("status", 1),
        ("steps", "x"),
    ],
)
def test_a_record_with_entries_of_another_kind(key, value, run):
    record = json.loads((run / "run.json").read_text())
    *outer, last = key.split(".")
    functools.reduce(dict.__getitem__, outer, record)[last] = value
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(ZatlasError, match=r"run\.json is damaged: entries are missing or of another kind"):
        RunFolder(run)


@pytest.mark.parametrize("splits", [None, 3, {}, {"train": "x"}])
def test_a_record_without_its_number_of_training_rows(splits, run):
    record = json.loads((run / "run.json").read_text())
    record["data"]["splits"] = splits
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(ZatlasError, match=r"run\.json is damaged: data\.splits has no train rows"):
        Run(run)


def test_a_run_of_a_later_zatlas(run):
    RunFolder(run).update(schema=99)
    with pytest.raises(ZatlasError, match="has schema 99 and this zatlas reads 1"):
        RunFolder(run)


@DAMAGE
def test_an_altered_configuration(damage, run):
    damage(run / "config.toml")
    for use in (Run, training.resume):
        with pytest.raises(ZatlasError, match=r"config\.toml (was altered or damaged|is missing)"):
            use(run)


def test_metrics_with_a_broken_line(run, whole):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    lines[3] = lines[3][:20]
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    measure.evaluate_run(Run(run))  # wants no metrics
    with pytest.raises(ZatlasError, match=r"line 4 of .*metrics\.jsonl is damaged; delete that line"):
        write_report(Run(run))
    heard = []
    training.resume(run, say=heard.append, changes={"steps": STEPS + 6})
    assert any("metrics.jsonl was altered or cut short" in sentence for sentence in heard)
    steps = [line["step"] for line in RunFolder(run).metrics() if line["split"] == "train"]
    assert steps == sorted(set(steps))
    assert steps[-1] == STEPS + 6


def test_metrics_that_are_gone_are_written_from_there_on(run):
    (run / "metrics.jsonl").unlink()
    assert RunFolder(run).metrics() == []
    training.resume(run, changes={"steps": STEPS + 6})
    assert RunFolder(run).metrics()[0]["step"] == STEPS + 1


@pytest.mark.parametrize("damage", [cut, flip, empty, junk])
def test_a_damaged_snapshot(damage, run):
    damage(run / "snapshots" / "step-00000006.npz")
    with pytest.raises(ZatlasError, match=r"snapshot .*step-00000006\.npz is damaged; delete it"):
        RunFolder(run).snapshots()


def test_a_report_names_a_damaged_snapshot_and_does_without_it(run):
    flip(run / "snapshots" / "step-00000006.npz")
    measure.evaluate_run(Run(run))
    with pytest.raises(ZatlasError, match=r"snapshot .*step-00000006\.npz is damaged; delete it"):
        write_report(Run(run))
    (run / "snapshots" / "step-00000006.npz").unlink()
    write_report(Run(run))


def test_a_snapshot_with_python_objects_is_never_unpickled(run):
    np.savez(run / "snapshots" / "step-00000006.npz", mean=np.array([print], dtype=object))
    with pytest.raises(ZatlasError, match=r"step-00000006\.npz is damaged"):
        RunFolder(run).snapshots()


def test_other_files_beside_the_snapshots_are_left_alone(run, whole):
    other = run / "snapshots" / "step-6 copy.npz"
    other.touch()
    training.resume(run, changes={"steps": STEPS + 1})
    assert other.exists()
    assert len(RunFolder(run).snapshots()) == len(RunFolder(whole).snapshots()) + 1


def test_data_that_changed_since_are_refused_and_their_new_place_is_accepted(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (120, 6, 6), dtype=np.uint8)
    np.save(tmp_path / "old.npy", images)
    base = config(steps=3).model_dump() | {"data": {"source": str(tmp_path / "old.npy")}}
    run = tmp_path / "run"
    training.train(make_config(("test", base)), out=run)
    images[0, 0, 0] ^= 1
    np.save(tmp_path / "old.npy", images)
    changed = r"old\.npy are not those that .*run was trained on \(their fingerprints differ\)"
    with pytest.raises(ZatlasError, match=changed):
        training.resume(run, changes={"steps": 5})
    with pytest.raises(ZatlasError, match=changed):
        measure.evaluate_run(Run(run))
    Run(run).sample(4)  # wants no data
    (tmp_path / "old.npy").unlink()
    with pytest.raises(UsageError, match=r"no file or folder .*old\.npy.*: give --data with where they are now\."):
        measure.evaluate_run(Run(run))
    images[0, 0, 0] ^= 1
    np.save(tmp_path / "new.npy", images)
    assert measure.evaluate_run(Run(run, data=str(tmp_path / "new.npy")))["step"] == 3
    assert training.resume(run, changes={"steps": 5}, data=str(tmp_path / "new.npy")).step == 5


def test_a_run_that_was_moved_works_by_any_path(tmp_path, whole, monkeypatch):
    shutil.copytree(whole, tmp_path / "a" / "b")
    monkeypatch.chdir(tmp_path / "a")
    ways = ("b", tmp_path / "a" / "b", "../a/b", whole)
    found = [measure.evaluate_run(Run(path))["figures"] for path in ways]
    figures = [{name: figure["value"] for name, figure in record.items()} for record in found]
    assert all(one == figures[0] for one in figures)
    write_report(Run("b"))
