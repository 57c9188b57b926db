"""Members alike in shape, trained as one (:class:`zatlas.training.ensemble.Ensemble`), each into its own run folder.

A member that was trained in a stack ends where it ends alone, to rounding: same start, same batches, same draws. Sums
are taken in another order, so weights differ in their last digits: after 40 steps of the digits' mlp on the CPU by at
most 2e-6 of the largest weight of a tensor, and the bound by 4e-7 nats. The tests hold 1e-3 and 1e-3 nats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zatlas import recipes
from zatlas.config import Config
from zatlas.data import Source, Splits
from zatlas.errors import UsageError, ZatlasError
from zatlas.runs.folder import RunFolder, locked
from zatlas.runs.opened import Run
from zatlas.runs.recorder import Recorder
from zatlas.runs.setup import Setup, record_of, sampler, set_up
from zatlas.studies.members import Member, digest
from zatlas.training import Ensemble, Game, State, Trainer, Watcher
from zatlas.training.checkpoint import rng_state

MOST = 64  # members of a stack
ALONE = ("seconds", "target_loss", "patience")  # limits that would end each member at its own step


def alike(members: Sequence[Member]) -> list[list[Member]]:
    """Members in groups that may be stacked: they differ by numbers of the objective alone, and end at one step.

    Whether they can be is known when their games are built; seeds are not mixed, as another seed sees other batches.
    """
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(_shape(member), []).append(member)
    return [group[at : at + MOST] for group in groups.values() for at in range(0, len(group), MOST)]


def _shape(member: Member) -> str:
    config = member.config
    training: Mapping[str, Any] = config.get("training", {})
    if member.refused or any(training.get(limit) is not None for limit in ALONE):
        return member.key
    objective = {
        key: value
        for key, value in config.get("objective", {}).items()
        if isinstance(value, bool) or not isinstance(value, float)
    }
    return digest({**config, "objective": objective})


class View:
    """One member of a stack, as a recorder sees a training."""

    def __init__(self, trainer: StackedTrainer, index: int) -> None:
        self.trainer, self.index = trainer, index
        self.own = State()  # best loss and validations, which differ between members

    @property
    def state(self) -> State:
        """The stack's state with this member's own part; the time is its share of the stack's."""
        whole, own = self.trainer.state, self.own
        return replace(
            whole,
            seconds=whole.seconds / self.trainer.members,
            best_loss=own.best_loss,
            best_step=own.best_step,
            validations=own.validations,
            stale=own.stale,
        )

    @property
    def progress(self) -> float:
        return self.trainer.progress

    @property
    def best_game(self) -> Game:
        return self.trainer.best_game.member(self.index)  # type: ignore[operator]  # an ensemble

    def tensors(self) -> dict[str, Tensor]:
        """As :meth:`zatlas.training.Trainer.tensors` gives them of this member alone."""
        kept: list[tuple[str, Any]] = [("game", self.trainer.stack)]
        if self.trainer.average:
            kept.append(("average", self.trainer.average.module))
        tensors = {
            f"{part}.{name}": value[self.index]
            for part, stack in kept
            for name, value in stack.stacked.state_dict().items()
        }
        for player, optimizer in self.trainer.optimizers.items():
            for number, slots in optimizer.state_dict()["state"].items():
                for slot, value in slots.items():
                    value = torch.as_tensor(value)
                    own = value[self.index] if value.dim() else value
                    tensors[f"optimizer.{player}.{number}.{slot}"] = own
        return tensors | rng_state(self.trainer.device)

    def snapshot(self) -> dict[str, Any]:
        sums = {name: float(value[self.index]) for name, value in self.trainer._sums.items()}
        return {**asdict(self.state), "sums": sums, "counts": dict(self.trainer._counts)}


class StackedTrainer(Trainer):
    """Trains an ensemble and tells each member's recorder of that member.

    Args:
        stack: the members as one.
        validations_of: what validates each member.
        recorders: of each member.
        options: as of :class:`zatlas.training.Trainer`.
    """

    def __init__(
        self,
        stack: Ensemble,
        *arguments: Any,
        validations_of: Sequence[Callable[[Game], dict[str, float]] | None],
        recorders: Sequence[Recorder],
        **options: Any,
    ) -> None:
        super().__init__(stack, *arguments, **options)
        self.stack, self.members = stack, stack.members
        self.validations_of, self.recorders = validations_of, recorders
        self.views = [View(self, index) for index in range(self.members)]

    def mean(self, term: Tensor) -> Tensor:
        return term.reshape(self.members, -1).mean(1)

    def live(self) -> dict[str, Any]:
        """Mean terms of each member since the last record."""
        means = {name: (total / self._counts[name]).tolist() for name, total in self._sums.items()}
        finite = torch.tensor(list(means.values())).isfinite()
        if not finite.all():
            raise self._diverged("loss", finite.all(0), *self._last)
        return means

    def record(self, split: str, values: dict[str, Any]) -> None:
        for view in self.views:
            self.record_member(view, split, {name: value[view.index] for name, value in values.items()})

    def record_member(self, view: View, split: str, values: dict[str, float]) -> None:
        state = view.state
        epochs = round(state.step / self.batches.steps_per_epoch, 4)
        line = {"step": state.step, "epoch": epochs, "seconds": round(state.seconds, 4), "split": split, **values}
        if split == "train":
            line["learning_rate"] = next(iter(self.optimizers.values())).param_groups[0]["lr"]
        self.recorders[view.index].recorded(view, line)  # type: ignore[arg-type]

    def _validate(self) -> None:
        self.state.validations += 1
        for view, validate in zip(self.views, self.validations_of, strict=True):
            assert validate is not None
            values, own = validate(view.best_game), view.own
            self.record_member(view, "validation", values)
            own.validations += 1
            improved = own.best_loss is None or values["loss"] < own.best_loss
            if improved:
                own.best_loss, own.best_step, own.stale = values["loss"], self.state.step, 0
            else:
                own.stale += 1
            self.recorders[view.index].validated(view, improved)  # type: ignore[arg-type]

    def _tell(self, event: str, *arguments: Any) -> None:
        super()._tell(event, *arguments)
        for view, recorder in zip(self.views, self.recorders, strict=True):
            getattr(recorder, event)(view, *arguments)


def train_stacked(
    configs: Sequence[Config],
    folders: Sequence[Path],
    opened: tuple[Source, Splits],
    watchers: Sequence[Watcher] = (),
) -> list[Run]:
    """Trains several configurations as one, each into a new run folder.

    Args:
        configs: of one group of :func:`alike`.
        folders: of their runs; none is there yet.
        opened: the data of all.
        watchers: are told of the stack's steps.

    Raises:
        UsageError: they cannot be stacked; nothing was written.
        ZatlasError: a loss that diverges, or a disk that refuses.
    """
    source, splits = opened
    setups = [set_up(config, source, splits) for config in configs]
    first = setups[0].trainer
    if not first.budget.steps and not first.budget.epochs:
        raise UsageError("these games cannot be stacked: they are not trained in steps.")
    state = torch.get_rng_state()
    stack = Ensemble([setup.trainer.game for setup in setups])  # type: ignore[misc]
    with ExitStack() as held:
        recorders = []
        for setup, folder in zip(setups, folders, strict=True):
            held.enter_context(locked(folder))
            record = {**record_of(setup), "stacked": len(setups)}
            dest = RunFolder.create(folder, setup.config, record)
            recorders.append(_recorder(dest, setup))
        trainer = _trainer(stack, setups, recorders, watchers)
        torch.set_rng_state(state)
        try:
            trainer.fit()
            runs = [
                Run(recorder.folder, device=setup.device, source=source, splits=splits)
                for recorder, setup in zip(recorders, setups, strict=True)
            ]
            if trainer.state.stopped != "interrupted":
                for run in runs:
                    run.test()
        except ZatlasError as error:
            for recorder in recorders:
                recorder.folder.update(status="failed", stopped=str(error))
            raise
        finally:
            for recorder in recorders:
                recorder.close()
    return runs


def _trainer(
    stack: Ensemble, setups: Sequence[Setup], recorders: Sequence[Recorder], watchers: Sequence[Watcher]
) -> StackedTrainer:
    """As the first member would be trained, which all are alike."""
    first = setups[0].trainer
    return StackedTrainer(
        stack,
        first.batches,
        validations_of=[setup.trainer.validate for setup in setups],
        recorders=recorders,
        budget=first.budget,
        optimisation=recipes.optimisation(setups[0].config.training),
        schedule=first.schedule,
        device=first.device,
        threads=first.threads,
        precision=first.precision,
        clip_norm=first.clip_norm,
        average=setups[0].config.training.ema or 0.0,
        validate=first.validate,
        validations=first.validations,
        validation_rows=first.validation_rows,
        validate_start=first.validate_start,
        watchers=watchers,
    )


def _recorder(dest: RunFolder, setup: Setup) -> Recorder:
    t = setup.config.training
    return Recorder(
        dest, every_seconds=t.checkpoint_every_seconds, every_steps=t.checkpoint_every_steps, sample=sampler(setup)
    )
