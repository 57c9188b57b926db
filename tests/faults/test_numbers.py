"""Numbers that are no longer finite: where, why, and the last good state is kept."""

import math
import signal
from dataclasses import replace

import pytest
import torch

from zatlas.errors import ZatlasError
from zatlas.evaluation import term_figures
from zatlas.runs import opened, setup, training
from zatlas.runs.folder import RunFolder

from .trial import At, config


def test_a_learning_rate_that_is_too_high(tmp_path):
    with pytest.raises(ZatlasError) as refused:
        training.train(
            config(learning_rate=1e9, optimizer="sgd", schedule="constant", clip_norm=0), out=tmp_path / "run"
        )
    text = str(refused.value)
    assert "no longer finite at step" in text
    assert "learning rate" in text
    assert "The last good state is step-" in text
    run = RunFolder(tmp_path / "run")
    assert run.record["status"] == "failed"
    assert run.record["stopped"] in text
    tensors, record, passed = run.load_checkpoint()
    assert not passed
    assert all(torch.isfinite(t).all() for t in tensors.values())
    assert all(math.isfinite(v) for line in run.metrics() for v in line.values() if isinstance(v, float))
    with pytest.raises(ZatlasError, match="no longer finite at step"):  # it can be resumed, and fails as before
        training.resume(tmp_path / "run")
    assert training.resume(tmp_path / "run", changes={"steps": max(1, record["trainer"]["step"])}).step >= 0


class Catch(At):
    """Spoils the weights after one step, before the recorder sees them."""

    def stepped(self, trainer):
        if trainer.state.step == self.step:
            with torch.no_grad():
                next(trainer.game.parameters()).fill_(math.nan)


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, 5])
def test_broken_weights_are_never_saved(every, tmp_path):
    with pytest.raises(ZatlasError, match="no longer finite at step"):
        training.train(config(checkpoint_every_steps=every), out=tmp_path / "run", watchers=[Catch(7, None)])
    tensors, record, _ = RunFolder(tmp_path / "run").load_checkpoint()
    assert record["trainer"]["step"] <= 7
    assert all(torch.isfinite(t).all() for t in tensors.values())
    training.resume(tmp_path / "run")
    assert RunFolder(tmp_path / "run").record["status"] == "finished"
    assert "result" in RunFolder(tmp_path / "run").record


class CatchAndStop(Catch):
    """Spoils them as the last thing that happens, so that only the final save can notice."""

    def stepped(self, trainer):
        super().stepped(trainer)
        if trainer.state.step == self.step:
            signal.raise_signal(signal.SIGINT)


def test_broken_weights_are_not_saved_at_the_end_either(tmp_path):
    with pytest.raises(ZatlasError, match=r"game\.model\.\S+ is no longer finite at step 7"):
        training.train(config(), out=tmp_path / "run", watchers=[CatchAndStop(7, None)])
    assert RunFolder(tmp_path / "run").load_checkpoint()[1]["trainer"]["step"] == 6


def test_a_test_loss_that_is_not_finite_fails_the_run(tmp_path, monkeypatch):
    def broken(game, batches, **options):
        terms = term_figures(game, batches, **options)
        return {name: replace(term, value=math.inf) for name, term in terms.items()} if len(batches) == 180 else terms

    monkeypatch.setattr(opened, "term_figures", broken)
    with pytest.raises(ZatlasError, match="the loss on the test rows is not finite"):
        training.train(config(), out=tmp_path / "run")
    assert RunFolder(tmp_path / "run").record["status"] == "failed"


def test_a_validation_that_is_not_finite_is_neither_best_nor_written(tmp_path, monkeypatch):
    def broken(game, batches, **options):
        return {"loss": math.nan, "distortion": math.nan, "rate": 0.0}

    monkeypatch.setattr(setup, "mean_terms", broken)
    with pytest.raises(ZatlasError, match="the validation loss is no longer finite at step 6"):
        training.train(config(), out=tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    assert "best" not in run.record["checkpoints"]
    assert "NaN" not in run.metrics_path.read_text()
