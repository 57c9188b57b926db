"""The run folder: nobody else's files are touched, the right checkpoint is found, damage is named."""

import json

import pytest
import torch

from zatlas.config import make_config
from zatlas.errors import UsageError, ZatlasError
from zatlas.runs.folder import RunFolder, check_free, free_name, locked
from zatlas.training import checkpoint

CONFIG = make_config(("test", {"data": {"source": "digits"}}))
RECORD = {
    "data": {"spec": {"shape": [4], "values": "real", "label_kind": "none", "labels": []}},
    "data_kind": "real",
    "steps_per_epoch": 3,
}


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path / "run", CONFIG, RECORD)


def save(run, step, value=None):
    path = run.checkpoints_path / checkpoint.name_of(step)
    tensors = {"game.w": torch.full((3,), float(step if value is None else value)), "rng.cpu": torch.get_rng_state()}
    checkpoint.save(path, tensors, {"trainer": {"step": step}})
    return path


def test_a_new_run_says_what_it_is(run):
    assert run.config() == CONFIG
    assert run.metrics() == run.snapshots() == []
    assert (run.record["status"], run.record["steps"], run.record["schema"]) == ("running", 0, 1)
    assert RunFolder(run.path).record == run.record


def test_entries_change_and_go(run):
    run.update(result={"loss": 1.0}, status="finished")
    run.update(result=None, stopped=None)
    record = json.loads((run.path / "run.json").read_text())
    assert record == run.record
    assert record["status"] == "finished"
    assert not {"result", "stopped"} & set(record)


def test_what_stands_in_a_folder_stays_there(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"is not empty \(it holds mine\.txt\)"):
        RunFolder.create(tmp_path, CONFIG, RECORD)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_configuration_of_another_training_stays_there(tmp_path):
    (tmp_path / "config.toml").write_text("[model]\nlatent_dim = 9\n")
    with pytest.raises(UsageError, match=r"is not empty \(it holds config\.toml\)"):
        RunFolder.create(tmp_path, CONFIG, RECORD)


def test_what_a_kill_at_the_very_start_left_is_no_hindrance(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / ".run.json.123.part").touch()
    (tmp_path / "config.toml").write_text(CONFIG.to_toml())
    check_free(tmp_path, CONFIG.to_toml().encode())
    RunFolder.create(tmp_path, CONFIG, RECORD)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "config.toml", "run.json"]


def test_a_run_is_not_made_twice(run):
    with pytest.raises(UsageError, match="already holds a run: go on with"):
        RunFolder.create(run.path, CONFIG, RECORD)


def test_checkpoints_by_name(run):
    with pytest.raises(ZatlasError, match="has no checkpoint: train it first"):
        run.load_checkpoint()
    for step in (3, 20, 100):
        save(run, step)
    assert checkpoint.steps(run.checkpoints_path) == [3, 20, 100]
    tensors, record, passed = run.load_checkpoint()  # run.json names none: a kill came in between
    assert (record["trainer"]["step"], passed) == (100, [])
    assert torch.equal(tensors["game.w"], torch.full((3,), 100.0))
    run.update(checkpoints={"last": checkpoint.name_of(20), "best": checkpoint.name_of(3)})
    for name, step in (("last", 20), ("best", 3), (checkpoint.name_of(100), 100)):
        assert run.load_checkpoint(name)[1]["trainer"]["step"] == step
    with pytest.raises(UsageError, match="has no checkpoint 'lats'; did you mean last"):
        run.load_checkpoint("lats")
    (run.checkpoints_path / checkpoint.name_of(3) / "state.json").unlink()
    _, record, passed = run.load_checkpoint("best")
    assert record["trainer"]["step"] == 100
    assert len(passed) == 1
    run.prune({checkpoint.name_of(20)})
    assert [p.name for p in run.checkpoints_path.iterdir()] == [checkpoint.name_of(20)]


def test_the_best_of_a_run_without_validation(run):
    save(run, 5)
    run.update(checkpoints={"last": checkpoint.name_of(5)})
    _, record, passed = run.load_checkpoint("best")
    assert record["trainer"]["step"] == 5
    assert passed == [f"the run {run.path} has no best checkpoint, as nothing was validated yet."]


def test_a_checkpoint_takes_the_place_of_one_of_the_same_step(run):
    save(run, 5, 1.0)
    path = save(run, 5, 2.0)
    assert torch.equal(checkpoint.load(path)[0]["game.w"], torch.full((3,), 2.0))
    assert [p.name for p in run.checkpoints_path.iterdir()] == [path.name]


def test_tensors_that_share_memory_are_kept(run):
    shared = torch.arange(4.0)
    path = run.checkpoints_path / checkpoint.name_of(1)
    checkpoint.save(path, {"a": shared, "b": shared, "c": shared.reshape(2, 2).T, "d": torch.tensor(3)}, {})
    tensors, _ = checkpoint.load(path)
    assert torch.equal(tensors["b"], shared)
    assert torch.equal(tensors["c"], shared.reshape(2, 2).T)
    assert tensors["d"] == 3


def test_sweeping_takes_only_what_is_half_written(run):
    litter = [
        run.path / ".run.json.77.part",
        run.path / ".metrics.jsonl.77.part",
        run.path / "snapshots" / ".step-00000001.npz.77.part",
        run.checkpoints_path / ".step-00000001.part" / "tensors.safetensors",
        run.checkpoints_path / ".step-00000002.old.part" / "state.json",
    ]
    theirs = [run.path / ".evaluation.json.78.part", run.path / "notes.part", run.path / "evaluation.json"]
    for path in litter + theirs:  # an evaluation may be going on: what it writes is not to be taken from it
        path.parent.mkdir(exist_ok=True, parents=True)
        path.touch()
    run.sweep()
    assert not any(path.exists() for path in litter)
    assert all(path.exists() for path in theirs)
    assert not list(run.checkpoints_path.iterdir())


def test_metrics_without_their_cut_off_end(run):
    run.metrics_path.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert run.metrics() == [{"step": 1, "loss": 2.0}]
    for broken in ("[]", "{}", '{"step": "x"}', '{"step": Infinity}', "{", ""):
        run.metrics_path.write_text(f'{{"step": 1}}\n{broken}\n')
        with pytest.raises(ZatlasError, match=r"line 2 of .*metrics\.jsonl is damaged; delete that line"):
            run.metrics()


def test_the_lock_is_for_one(tmp_path):
    second = pytest.raises(UsageError, match="is being trained by another process")
    with locked(tmp_path / "new"), second, locked(tmp_path / "new"):
        pass
    with locked(tmp_path / "new"):
        pass


def test_free_names_are_counted(tmp_path):
    assert free_name(tmp_path, "a").name == "a-001"
    (tmp_path / "a-001").mkdir()
    (tmp_path / "a-002").touch()
    assert free_name(tmp_path, "a").name == "a-003"
