"""Training for estimators: the command line's own set-up and loop, with the results kept in memory."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from zatlas.config import Config
from zatlas.data import evenly_spaced, split
from zatlas.errors import UsageError, ZatlasError
from zatlas.estimators.layout import Examples
from zatlas.evaluation import estimate_elbo, mean_terms
from zatlas.runs.data import batches
from zatlas.runs.setup import Setup, facts_of, opens, set_up
from zatlas.training import Game, Trainer, Watcher, choose_device, forked_rng, load_module
from zatlas.training.batching import MOST
from zatlas.types import Generates, inferring

RATE_ROWS = 2000  # rows that the recorded rates of the units are a mean over
REPORTS = 10  # lines that verbose prints


@dataclass(frozen=True)
class Stand:
    """Where training stood: every tensor it depends on, on the CPU, and its state as plain values."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]

    @classmethod
    def of(cls, trainer: Trainer) -> Stand:
        tensors = {name: tensor.detach().cpu().clone() for name, tensor in trainer.tensors().items()}
        return cls(tensors, {**trainer.snapshot(), "stopped": None})

    def game(self) -> dict[str, Tensor]:
        """The tensors of the game to keep: its average where there is one."""
        prefix = "average." if any(name.startswith("average.") for name in self.tensors) else "game."
        return {n.removeprefix(prefix): t for n, t in self.tensors.items() if n.startswith(prefix)}


@dataclass(frozen=True)
class Fitted:
    """What a training gives: the model, where training stood at its end and at its best, its curve, its record."""

    model: Generates
    config: Config
    last: Stand
    best: Stand | None
    history: list[dict[str, Any]]
    record: dict[str, Any]


class _Memory(Watcher):
    """Keeps the curve, and the best state where there is validation to tell it; prints now and then."""

    def __init__(self, who: str, verbose: bool) -> None:
        self.who, self.verbose = who, verbose
        self.history: list[dict[str, Any]] = []
        self.best: Stand | None = None
        self._printed = 0

    def recorded(self, trainer: Trainer, record: dict[str, Any]) -> None:
        self.history.append(record)
        if self.verbose and int(trainer.progress * REPORTS) > self._printed:
            self._printed = int(trainer.progress * REPORTS)
            print(
                f"{self.who}: step {record['step']:,}, {record['split']} loss {record['loss']:.2f} nats",
                file=sys.stderr,
            )

    def validated(self, trainer: Trainer, improved: bool) -> None:
        if improved:
            self.best = Stand.of(trainer)


def _goes_on(config: Config, stand: Stand | None, examples: int) -> tuple[Config, Stand | None]:
    """One more pass at a constant learning rate, in an order that no earlier pass had."""
    config = config.model_copy(deep=True)
    t = config.training
    state = dict(stand.state) if stand else {}
    t.epochs = t.seconds = t.patience = t.target_loss = None
    t.batch_size = t.batch_size or MOST
    t.steps = state.get("step", 0) + -(-examples // t.batch_size)
    t.schedule, t.warmup = "constant", 0.0
    config.data.validation = 0
    if stand is None:
        return config, None
    state |= {"epoch": state["epoch"] + (state["position"] > 0), "position": 0}
    return config, Stand(stand.tensors, state)


def fit(
    config: Config,
    source: Examples,
    *,
    who: str,
    verbose: bool = False,
    one_pass: bool = False,
    go_on: Stand | None = None,
) -> Fitted:
    """Trains on all rows that are not for validation.

    Args:
        config: the configuration.
        source: the examples.
        who: the estimator's name, for messages.
        verbose: print the loss now and then, to stderr.
        one_pass: train for one epoch at a constant learning rate, whatever the configuration says.
        go_on: where an earlier training stood; its weights, optimiser and random state are gone on with.

    Raises:
        UsageError: a combination that cannot be.
        ZatlasError: the loss or the weights are no longer finite.
    """
    device = choose_device(config.training.device)
    if one_pass:
        config, go_on = _goes_on(config, go_on, len(source))
    try:
        splits = split(source, validation=config.data.validation, test=0, seed=config.data.split_seed)
    except ZatlasError as error:
        raise UsageError(f"{who}: {error}") from None
    memory = _Memory(who, verbose)
    with forked_rng(device):
        setup = set_up(config, source, splits, watchers=[memory])
        trainer = setup.trainer
        if go_on:
            # copies: the optimiser would move the very tensors it is given
            trainer.restore({name: tensor.clone() for name, tensor in go_on.tensors.items()}, go_on.state)
        trainer.fit()
        stopped = trainer.state.stopped
        last = Stand.of(trainer)
        best = memory.best if opens(setup) == "best" else None
        game = trainer.best_game
        if best:
            load_module(game, best.game())
        found = _measured(setup, game)
    if not math.isfinite(found["result"]["loss"]):
        raise ZatlasError(
            f"{who}: the loss is no longer finite after step {trainer.state.step}, most likely because the learning "
            "rate is too high: lower learning_rate."
        )
    record = {
        "status": "interrupted" if stopped == "interrupted" else "finished",
        "stopped": stopped,
        **facts_of(setup),
        "steps": trainer.state.step,
        "train_seconds": trainer.state.seconds,
        "examples": trainer.state.examples,
        **found,
    }
    return Fitted(game.model.eval(), setup.config, last, best, memory.history, record)


def _measured(setup: Setup, game: Game) -> dict[str, Any]:
    """Mean terms over validation rows, or training rows where there are none; and the rate of each unit."""
    config, source, splits = setup.config, setup.source, setup.splits
    on: dict[str, Any] = {"device": setup.device, "precision": setup.trainer.precision}
    rows = splits.validation if len(splits.validation) else splits.train
    result = mean_terms(game, batches(config, source, rows, setup.device), **on)
    found: dict[str, Any] = {"result": {"split": "validation" if len(splits.validation) else "train", **result}}
    if config.kind.infers:
        some = batches(config, source, evenly_spaced(rows, RATE_ROWS), setup.device)
        found["unit_rates"] = estimate_elbo(inferring(game.model), some, **on).unit_rates.tolist()
    return found
