"""Trackers get every figure of the run folder; one's own is a class by its name."""

import pytest

import zatlas
from zatlas.errors import UsageError
from zatlas.runs.training import resume
from zatlas.training import Watcher

QUICK = {"size": "xs", "precision": "fp32", "threads": 1, "verbose": False}


class Heard(Watcher):
    """What it was told, kept for the test to look at."""

    told: list[tuple] = []  # noqa: RUF012 (the test's own)

    def __init__(self, run):
        self.told.append(("made", run.path.name))

    def started(self, trainer):
        self.told.append(("started", trainer.state.step))

    def recorded(self, trainer, record):
        self.told.append(("recorded", record))

    def close(self):
        self.told.append(("close",))


@pytest.fixture
def heard():
    Heard.told.clear()
    return Heard.told


def scalars(folder):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    board = events.EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    board.Reload()
    tags = board.Tags()
    return {tag: [(e.step, e.value) for e in board.Scalars(tag)] for tag in tags["scalars"]}, tags["images"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_holds_the_figures_of_the_run_folder(tmp_path):
    pytest.importorskip("tensorboard")
    run = zatlas.train("digits", steps=6, validations=2, log="tensorboard", out=tmp_path / "run", **QUICK)
    resume(tmp_path / "run", changes={"steps": 9}, log=["tensorboard"])
    found, images = scalars(tmp_path / "run")
    expected = {}
    for record in run.folder.metrics():
        for name in record.keys() - {"step", "epoch", "seconds", "split"}:
            point = (record["step"], pytest.approx(record[name], rel=1e-6))
            expected.setdefault(f"{record['split']}/{name}", []).append(point)
    assert found == expected
    assert {"validation/loss", "validation/psnr", "train/distortion"} <= found.keys()
    assert images == ["samples"]


def test_a_tracker_of_one_s_own_by_its_name(tmp_path, heard):
    zatlas.train("digits", steps=2, log=f"{__name__}:Heard", out=tmp_path / "run", **QUICK)
    assert heard[:2] == [("made", "run"), ("started", 0)]
    assert heard[-1] == ("close",)
    assert sum(what == "recorded" for what, *_ in heard) >= 2


def test_a_watcher_is_closed_when_training_fails(tmp_path, heard):
    class Breaks(Watcher):
        def stepped(self, trainer):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        zatlas.train("digits", steps=2, log=f"{__name__}:Heard", watchers=[Breaks()], out=tmp_path / "run", **QUICK)
    assert heard[-1] == ("close",)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("tensorbord", "did you mean tensorboard?"),
        ("no.such:Thing", "the tracker no.such:Thing cannot be imported"),
        (f"{__name__}:Nothing", "cannot be imported"),
    ],
)
def test_an_unknown_tracker_is_refused_before_a_folder_is_made(name, sentence, tmp_path):
    with pytest.raises(UsageError, match=sentence.replace("?", r"\?")):
        zatlas.train("digits", steps=1, log=name, out=tmp_path / "run", **QUICK)
    assert not (tmp_path / "run").exists()
