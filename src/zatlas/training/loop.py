"""The loop: for each batch, for each player, one step. It knows no kind of model and no disk."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import torch
from torch import Tensor

from zatlas.errors import ZatlasError
from zatlas.training.averaging import Average
from zatlas.training.budget import Budget, Schedule
from zatlas.training.checkpoint import load_module, rng_state, set_rng_state
from zatlas.training.ensemble import Ensemble
from zatlas.training.game import Game
from zatlas.training.interrupt import interruptible
from zatlas.training.optimisation import Optimisation
from zatlas.training.overfitting import shorter_span
from zatlas.training.precision import Precision, autocast, using_threads
from zatlas.training.state import State
from zatlas.training.watching import Watcher
from zatlas.types import Batch, Terms

LOG_POINTS = 200  # lines of training metrics over the whole budget: a curve needs no more

# Validation may cost this share of the training's arithmetic; as much again is for checkpoints, by the recorder.
VALIDATION_SHARE = 0.05
PASSES = (
    3.0  # an example's training step computes about three times what a look at it does: forward once, backward twice
)
FREE_ROWS = 2000  # so many rows may be looked at in any case, which takes at most a second or two


class Batches(Protocol):
    """Epochs of batches whose order is a function of the epoch's number alone."""

    @property
    def steps_per_epoch(self) -> int: ...
    def __len__(self) -> int: ...
    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]: ...


class Diverged(ZatlasError):
    """A loss or a gradient is no longer finite."""


class Trainer:
    """Trains a game until its budget is used, a target is met, patience is lost, or someone interrupts.

    Args:
        game: what is trained, on ``device`` already: one game, or an ensemble of them.
        batches: where x and y come from.
        budget: when to stop.
        optimisation: makes each player's optimiser.
        schedule: the learning rate's factor over the budget.
        device: that the tensors are on.
        threads: of torch's operators while training; None: as they are.
        precision: of the networks; parameters, densities and optimiser are float32.
        clip_norm: largest norm of a player's gradient; None: no limit.
        average: decay of the average of the weights; 0: none.
        validate: gives the named mean terms of a game on held-out rows, ``"loss"`` among them; None: no validation.
        validations: how many times over the budget, at most.
        validation_rows: how many examples ``validate`` looks at. One is put off until training has been worth
            ``1 / VALIDATION_SHARE`` times as much arithmetic as all of them. Examples are counted, and no clock is
            asked, since which weights are the best must not depend on what else the machine does. 0, a target or
            patience: none is put off, for there the count of validations decides when training ends.
        target_loss: stop when a validation's loss is at most this.
        patience: stop after so many validations in a row without a better loss.
        validate_start: validate before the first step too, where the start may be better than what is learned.
        begin_again: begin anew from the first weights, with a shorter schedule, where training overfits; never with a
            target or patience, which say themselves when it ends.
        watchers: are told of every step, record and validation.
    """

    def __init__(
        self,
        game: Game | Ensemble,
        batches: Batches,
        *,
        budget: Budget,
        optimisation: Optimisation,
        schedule: Schedule,
        device: torch.device,
        threads: int | None = None,
        precision: Precision = "fp32",
        clip_norm: float | None = None,
        average: float = 0.0,
        validate: Callable[[Game], dict[str, float]] | None = None,
        validations: int = 20,
        validation_rows: int = 0,
        target_loss: float | None = None,
        patience: int | None = None,
        validate_start: bool = False,
        begin_again: bool = False,
        watchers: Sequence[Watcher] = (),
    ) -> None:
        self.game, self.batches, self.budget, self.schedule = game, batches, budget, schedule
        self.device, self.threads = device, threads
        self.precision, self.clip_norm = precision, clip_norm
        self.owned = {player: game.owned(player) for player in game.players}
        self._optimisation, self._decay = optimisation, average
        self._fresh()
        self.base_rate = optimisation.learning_rate
        self.validate, self.validations = validate, validations
        self.validation_rows = 0 if target_loss is not None or patience is not None else validation_rows
        self.target_loss, self.patience = target_loss, patience
        self.validate_start = validate_start
        self.begin_again = begin_again and validate is not None and target_loss is None and patience is None
        self._first = {n: t.detach().clone() for n, t in game.state_dict().items()} if self.begin_again else {}
        self.watchers = list(watchers)
        self.state = State()
        self._sums: dict[str, Any] = {}
        self._counts: dict[str, int] = {}  # a player whose turn comes seldom has fewer terms to its sum

    def _fresh(self) -> None:
        """Optimisers and average at their start."""
        game = self.game
        self.optimizers = {player: self._optimisation(self.owned[player], game.decays) for player in game.players}
        self.average = Average(game, self._decay) if self._decay else None

    def _used(self, step: int, seconds: float) -> float:
        return self.budget.progress(step=step, epochs=step / self.batches.steps_per_epoch, seconds=seconds)

    @property
    def progress(self) -> float:
        """The fraction of the budget that is used; of a shorter beginning's own steps, or of what was left for it."""
        s = self.state
        used = self._used(s.step, s.seconds)
        if s.span is None:
            return used
        before = self._used(s.begun_step, s.begun_seconds)
        left = (used - before) / (1 - before) if before < 1 else 1.0
        return min(1.0, max(s.own_step / s.span, left))

    @property
    def best_game(self) -> Game:
        """The game to keep: its average where there is one."""
        return self.average.module if self.average else self.game  # type: ignore[return-value]

    def fit(self) -> State:
        """Trains to the end and returns the final state; its ``stopped`` says why it ended.

        Raises:
            Diverged: a loss or gradient became NaN or infinite; the message says where and what to change.
        """
        self.state.stopped = self._enough()
        self._tell("started")
        with using_threads(self.threads), interruptible() as interrupted:
            if self.validate_start and self.validate and not (self.state.step or self.state.validations):
                self._validate()
            while self.state.stopped is None:
                self._epoch(interrupted)
        self._tell("finished")
        return self.state

    def _epoch(self, interrupted: Callable[[], bool]) -> None:
        state = self.state
        mark = time.perf_counter()
        for batch in self.batches.epoch(state.epoch, start=state.position):
            before = self.progress
            if before >= 1:
                break
            self._step(batch, before)
            state.seconds += self.took(mark)
            state.step += 1
            state.position += 1
            state.examples += len(batch.x)
            if state.position == self.batches.steps_per_epoch:
                state.epoch, state.position = state.epoch + 1, 0
            self._after_step(before, self.progress)
            if interrupted():
                state.stopped = "interrupted"
            if state.stopped:
                return
            mark = time.perf_counter()
        if self.progress >= 1:
            state.stopped = "budget" if state.span is None else "overfitting"

    def took(self, mark: float) -> float:
        """Seconds since ``mark``; several processes agree on them, since limits and rates follow."""
        return time.perf_counter() - mark

    def play(self, player: str, batch: Batch) -> Terms:
        """The player's terms, whose loss is then followed."""
        return self.game(player, batch, self.state.own_step)

    def _step(self, batch: Batch, progress: float) -> None:
        factor = self.schedule(progress)
        self.game.train()
        for player, optimizer in self.optimizers.items():
            if not self.game.plays(player, self.state.own_step):
                continue
            with autocast(self.device, self.precision):
                terms = self.play(player, batch)
            loss = terms.loss.mean(-1).sum()
            # a GPU would have to wait for the answer, so there the check is made at every record
            if self.device.type == "cpu" and not math.isfinite(loss.item()):
                raise self._diverged("loss", terms.loss.isfinite().all(-1), terms, batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward(inputs=self.owned[player])
            if self.clip_norm is not None:
                sound = self.game.clip(self.owned[player], self.clip_norm).isfinite()
                if self.device.type == "cpu" and not sound.all():
                    raise self._diverged("gradient", sound, terms, batch)
            for group in optimizer.param_groups:
                group["lr"] = self.base_rate * factor
            optimizer.step()
            self._add("loss" if player == self.game.players[0] else f"{player}_loss", self.mean(terms.loss))
            for name, part in terms.parts.items():
                self._add(name, self.mean(part))
            self._last = (terms, batch)
        if self.average:
            self.average.update(self.state.own_step + 1)

    def mean(self, term: Tensor) -> Tensor:
        """What is recorded of a term of one step."""
        return term.mean()

    def _add(self, name: str, value: Tensor) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + value.detach()
        self._counts[name] = self._counts.get(name, 0) + 1

    def _after_step(self, before: float, after: float) -> None:
        crossed = lambda times: int(after * times) > int(before * times) or (after >= 1 > before)
        if crossed(LOG_POINTS):
            means = self.live()
            self.state.train_loss = means.get("loss")
            self.record("train", means)
            self._sums, self._counts = {}, {}
        if self.validate and crossed(self.validations):
            self.state.due = True
        if self.state.due and (after >= 1 or self._affordable()):
            self.state.due = False
            self._validate()
        self._tell("stepped")

    def _affordable(self) -> bool:
        """Whether one more validation keeps all of them within their share."""
        looked_at = self.validation_rows * (self.state.validations + 1)
        return looked_at <= max(FREE_ROWS, VALIDATION_SHARE * PASSES * self.state.examples)

    def live(self) -> dict[str, float]:
        """Mean terms since the last record, in nats per example.

        Raises:
            Diverged: one of them is not finite.
        """
        means = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        if not all(map(math.isfinite, means.values())):
            raise self._diverged("loss", self._last[0].loss.isfinite().all(-1), *self._last)
        return means

    def record(self, split: str, values: dict[str, float]) -> None:
        """Gives the watchers one line of metrics."""
        s = self.state
        epochs = round(s.step / self.batches.steps_per_epoch, 4)
        line = {"step": s.step, "epoch": epochs, "seconds": round(s.seconds, 4), "split": split}
        rate = next(iter(self.optimizers.values())).param_groups[0]["lr"]
        self._tell("recorded", {**line, **values, **({"learning_rate": rate} if split == "train" else {})})

    def _validate(self) -> None:
        assert self.validate is not None
        state = self.state
        values = self.validate(self.best_game)
        self.record("validation", values)
        state.validations += 1
        loss = values["loss"]
        improved = state.best_loss is None or loss < state.best_loss
        if improved:
            state.best_loss, state.best_step, state.stale = loss, state.step, 0
        else:
            state.stale += 1
        state.stopped = self._enough()
        if self.begin_again and state.train_loss is not None:
            state.curve.append([state.own_step, loss, state.train_loss])
        self._tell("validated", improved)
        if self.progress < 1 and state.stopped is None and (span := shorter_span(state, self.progress)):
            self._begin_again(span)

    def _begin_again(self, span: int) -> None:
        """From the first weights, with new optimisers, on a schedule of so many steps."""
        state = self.state
        state.begun_step, state.begun_seconds, state.span = state.step, state.seconds, span
        state.beginnings, state.curve, state.train_loss, state.due = state.beginnings + 1, [], None, False
        load_module(self.game, self._first)
        self._fresh()
        self._sums, self._counts = {}, {}
        self._tell("begun_again")

    def _enough(self) -> str | None:
        """Why validation has seen enough, from the state alone: a run killed right after knows it still."""
        best = self.state.best_loss
        if self.target_loss is not None and best is not None and best <= self.target_loss:
            return "target"
        return "patience" if self.patience is not None and self.state.stale >= self.patience else None

    def _diverged(self, what: str, sound: Tensor, terms: Terms, batch: Batch) -> Diverged:
        """The refusal to go on; ``sound`` is ``[]``, or ``[E]`` for an ensemble, whose spoilt members are named."""
        if not torch.isfinite(batch.x).all():
            cause = "the data holds NaN or infinity; clean it"
        else:
            broken = [name for name, part in terms.parts.items() if not torch.isfinite(part).all()]
            where = f"in the {' and '.join(broken)}, " if broken else ""
            rate = next(iter(self.optimizers.values())).param_groups[0]["lr"]
            cause = (
                f"{where}most likely because the learning rate ({rate:.3g}) is too high; "
                "lower training.learning_rate or set training.clip_norm"
            )
        step, epoch = self.state.step, self.state.epoch
        spoilt = (~sound).nonzero().flatten().tolist()  # nothing for the one game of ``[]``
        whose = f" of member {' and '.join(map(str, spoilt))}" if spoilt else ""
        return Diverged(f"the {what}{whose} is no longer finite at step {step} (epoch {epoch}): {cause}.")

    def _tell(self, event: str, *arguments: Any) -> None:
        for watcher in self.watchers:
            getattr(watcher, event)(self, *arguments)

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor that training depends on: game, average, optimisers, random states."""
        tensors = {f"game.{name}": value for name, value in self.game.state_dict().items()}
        if self.average:
            tensors |= {f"average.{name}": value for name, value in self.average.module.state_dict().items()}
        for player, optimizer in self.optimizers.items():
            for index, slots in optimizer.state_dict()["state"].items():
                for slot, value in slots.items():
                    tensors[f"optimizer.{player}.{index}.{slot}"] = torch.as_tensor(value)
        return tensors | rng_state(self.device)

    def snapshot(self) -> dict[str, Any]:
        """The state as plain JSON values."""
        sums = {name: float(value) for name, value in self._sums.items()}
        return {**asdict(self.state), "sums": sums, "counts": dict(self._counts)}

    def restore(self, tensors: dict[str, Tensor], snapshot: dict[str, Any]) -> None:
        """Puts everything back as it was when ``tensors`` and ``snapshot`` were taken.

        Raises:
            ZatlasError: the tensors are those of another model.
        """
        part = lambda prefix: {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        load_module(self.game, part("game."))
        if self.average:
            load_module(self.average.module, part("average.") or part("game."))  # imported weights have none yet
        for player, optimizer in self.optimizers.items():
            slots: dict[int, dict[str, Tensor]] = {}
            for name, value in part(f"optimizer.{player}.").items():
                index, slot = name.split(".", 1)
                slots.setdefault(int(index), {})[slot] = value.clone()  # the optimiser changes its state in place
            optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
        snapshot = dict(snapshot)
        self._sums = {n: torch.tensor(v, device=self.device) for n, v in snapshot.pop("sums").items()}
        self._counts = snapshot.pop("counts")
        self.state = State(**snapshot)
        set_rng_state(tensors, self.device)
