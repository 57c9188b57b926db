"""Fits the flow of a velocity to codes: trained, kept on the disk on its way, and measured."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from zatlas.arrays import Array
from zatlas.distributions.gaussian import LOG_2PI
from zatlas.errors import UsageError, ZatlasError
from zatlas.latent.aggregate import ExPostPrior, check_codes, fit_mixture
from zatlas.latent.code_batches import CodeBatches
from zatlas.latent.codes import Codes
from zatlas.latent.frames import Scaled
from zatlas.latent.matched_flow import MatchedFlow
from zatlas.networks.velocity import Velocity
from zatlas.objectives.flow_matching import FlowMatching, regression
from zatlas.training import (
    Arithmetic,
    Budget,
    Game,
    Optimisation,
    Schedule,
    Trainer,
    Watcher,
    checkpoint,
    choose_arithmetic,
    forked_rng,
    load_module,
)

MOST_HELD_OUT = 2000  # codes, to choose the weights by
HELD_OUT = 0.1  # of the codes, at most
LOOKS = 2000  # codes and times that a validation is over, at least
VALIDATIONS = 20
MEASURED_UNITS = 2**15  # of codes held out whose log density is computed, in all
MEASURED = (100, 250)  # such codes at least, and at most
SAVED_EVERY_SECONDS = 30.0
MIXTURE_UP_TO, MIXTURE_ROWS = 32, 5000  # units and codes to which a mixture is fitted for comparison
GAUSSIAN_UP_TO = 1024  # units whose covariance is computed for comparison


@dataclass(frozen=True)
class Training:
    """How a flow is trained.

    Attributes:
        steps: of gradient; None: 4000, or as many as the seconds allow.
        seconds: at most so many, spent in steps; what comes out then depends on how fast the machine is.
        width: of the network's features; None: twice as many as units for a row, from 128 to 512, and 64 on a map of
            8x8. (In 14 s of CPU time a row of 16 came to a loss of 1.338 with 128 and of 1.377 with 256.)
        blocks: residual blocks; None: 4 for a row, and 1 at each size of a map and way.
        batch_size: codes a step; None: 128 of rows, 64 of maps.
        learning_rate: the highest; None: 0.002 for rows, 0.001 for maps.
        drop: share of labels that are not told.
        decay: of the average of the weights.
    """

    steps: int | None = None
    seconds: float | None = None
    width: int | None = None
    blocks: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    drop: float = 0.1
    decay: float = 0.999

    def __post_init__(self) -> None:
        for name in ("steps", "seconds", "width", "blocks", "batch_size", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise UsageError(f"{name} = {value:g} cannot be: a prior is trained for more than 0.")

    def for_codes(self, shape: tuple[int, ...]) -> Training:
        """With every size written out."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        steps = {} if self.seconds else {"steps": 4000}
        usual: dict[str, Any] = {"width": 64, "blocks": 1, "batch_size": 64, "learning_rate": 1e-3}
        if len(shape) == 1:
            width = min(512, max(128, 2 * shape[0]))
            usual = {"width": width, "blocks": 4, "batch_size": 128, "learning_rate": 2e-3}
        return Training(**{**steps, **usual, **given})


class Place(NamedTuple):
    """Where a fit is done, and who is told of it.

    Attributes:
        seed: of all draws.
        device: of the training.
        folder: where it is kept on its way, so that it can go on; None: nowhere.
        watchers: are told of steps and validations.
        say: is given sentences for people.
    """

    seed: int = 0
    device: torch.device = torch.device("cpu")
    folder: Path | None = None
    watchers: Sequence[Watcher] = ()
    say: Callable[[str], None] = lambda sentence: None


USUAL, HERE = Training(), Place()


class _Split(NamedTuple):
    """Codes to fit and codes held out, each means, deviations and labels."""

    fit: tuple[Array, Array, Array | None]
    held: tuple[Array, Array, Array | None]


def fit_flow_matching(
    codes: Codes, shape: tuple[int, ...] | None = None, training: Training = USUAL, place: Place = HERE
) -> ExPostPrior:
    """A flow whose velocity is learned by flow matching, from fresh draws from the posteriors at every step.

    The weights are an average over the steps, those of the best loss on codes held out. With labels the flow is that
    given a label and that of all, by one network.

    Args:
        codes: posterior means and deviations ``[N, D]``, and labels.
        shape: of a code, ``(C, h, w)`` of a map; None: a row.
        training: how long, and with which network.
        place: seed, device, and where the training is kept on its way.

    Returns:
        The prior; its ``facts`` say beside what all priors say ``trace_error_nats`` and ``step_nats`` (see
        :class:`zatlas.latent.probability_flow.Estimate`) of ``held_out_nats``, which is over ``held_out_rows``, and
        with labels ``held_out_given_label_nats``, the mean of log p(z|y).

    Raises:
        UsageError: arrays of other shapes; no time to train.
        ZatlasError: codes that are not finite, too few, or all the same; a loss that diverges.
        KeyboardInterrupt: somebody stopped it; the next fit with the same words goes on, where there is a folder.
    """
    check_codes(codes.mean, codes.std)
    shape = shape or codes.mean.shape[1:]
    training = training.for_codes(shape)
    split = _split(codes, place.seed)
    scaled = Scaled.of(*split.fit[:2], shape)
    label_dim = 0 if codes.y is None else codes.y.shape[1]
    with forked_rng(place.device, seed=place.seed):
        flow = MatchedFlow.untrained(
            shape, label_dim=label_dim, width=cast(int, training.width), blocks=cast(int, training.blocks)
        )
        flow.velocity.requires_grad_(True).to(place.device)
        if codes.y is not None:
            _scale_labels(flow.velocity, codes.y)
        trainer, keeper = _trainer(flow.velocity, split, scaled, training, place, _asked(codes, shape, training, place))
        _train(trainer, keeper, place)
    load_module(flow.velocity, keeper.best)
    flow.velocity.eval().requires_grad_(False)
    place.say("Measuring its log density of codes held out.")
    state = trainer.state
    facts = {
        "name": "flow matching",
        "labels": label_dim,
        "parameters": sum(p.numel() for p in flow.velocity.parameters()),
        "steps": state.step,
        "best_step": state.best_step,
        "train_seconds": round(state.seconds, 3),
        "validation_loss": state.best_loss,
        "precision": trainer.precision,
        "threads": trainer.threads,
        "seed": place.seed,
        **{name: value for name, value in asdict(training).items() if name not in ("steps", "decay", "drop")},
        "fitted_rows": len(split.fit[0]),
    }
    return ExPostPrior(scaled, flow, facts | _measured(flow, scaled, split, place.seed))


def _split(codes: Codes, seed: int) -> _Split:
    n, dim = codes.mean.shape
    held = min(MOST_HELD_OUT, math.ceil(HELD_OUT * n))
    if n - held < dim + 2 and n < 100:
        raise ZatlasError(f"{n} codes are too few for a density over {dim} units: encode at least 100 examples.")
    order = np.random.default_rng(seed).permutation(n)
    part = lambda rows: (codes.mean[rows], codes.std[rows], None if codes.y is None else codes.y[rows])
    return _Split(part(order[held:]), part(order[:held]))


def _scale_labels(velocity: Velocity, y: Array) -> None:
    """Real labels on one scale; classes are one-hot already."""
    if not np.isin(y, (0, 1)).all():
        velocity.label_centre.copy_(torch.from_numpy(y.mean(0)))
        velocity.label_scale.copy_(torch.from_numpy(y.std(0).clip(1e-6)))


def _asked(codes: Codes, shape: tuple[int, ...], training: Training, place: Place) -> dict[str, Any]:
    """What a training that goes on must have in common with the one that began."""
    digest = hashlib.sha256()
    for values in codes:
        if values is not None:
            digest.update(np.ascontiguousarray(values).tobytes())
    plain = {**asdict(training), "shape": list(shape), "seed": place.seed, "device": place.device.type}
    asked: dict[str, Any] = json.loads(json.dumps({**plain, "codes_sha256": digest.hexdigest()}))  # as it is read again
    return asked


class _Keeper(Watcher):
    """Holds the best weights, and keeps the state of a training in a folder."""

    def __init__(self, folder: Path | None, asked: dict[str, Any], arithmetic: Arithmetic | None = None) -> None:
        self.folder, self.asked, self.arithmetic = folder, asked, arithmetic
        self.best: dict[str, Tensor] = {}
        self._saved = time.monotonic()

    def validated(self, trainer: Trainer, improved: bool) -> None:
        if improved:
            within = "model."
            weights = {
                n.removeprefix(within): t for n, t in trainer.best_game.state_dict().items() if n.startswith(within)
            }
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}

    def stepped(self, trainer: Trainer) -> None:
        if time.monotonic() - self._saved >= SAVED_EVERY_SECONDS:
            self.save(trainer)

    def finished(self, trainer: Trainer) -> None:
        if trainer.state.stopped == "interrupted":
            self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        if self.folder is None:
            return
        tensors = trainer.tensors() | {f"best.{name}": tensor for name, tensor in self.best.items()}
        arithmetic = {"precision": trainer.precision, "threads": trainer.threads}
        record = {"trainer": {**trainer.snapshot(), "stopped": None}, "asked": self.asked, "arithmetic": arithmetic}
        checkpoint.save(self.folder, tensors, record)
        self._saved = time.monotonic()

    def found(self, say: Callable[[str], None]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The tensors and the record of a training that asked for the same; None where there is none."""
        if self.folder is None or not self.folder.is_dir():
            return None
        try:
            tensors, record = checkpoint.load(self.folder)
        except ZatlasError as error:
            say(f"The fit begins again: {error}")
            return None
        if record["asked"] != self.asked:
            other = [name for name, value in self.asked.items() if record["asked"].get(name) != value]
            say(f"A fit that was stopped had other {', '.join(other)}: this one begins anew.")
            return None
        return tensors, record


def _trainer(
    velocity: Velocity, split: _Split, scaled: Scaled, training: Training, place: Place, asked: dict[str, Any]
) -> tuple[Trainer, _Keeper]:
    """A trainer at the beginning, or where a fit that was stopped had come to."""
    game = Game(cast(Any, velocity), FlowMatching(training.drop))
    batches = CodeBatches.of(
        split.fit, scaled, batch_size=cast(int, training.batch_size), seed=place.seed, device=place.device
    )
    keeper = _Keeper(place.folder, asked)
    found = keeper.found(place.say)
    if found:
        known = found[1]["arithmetic"]
        precision, threads = known["precision"], known["threads"]
    else:
        arithmetic = choose_arithmetic(game, next(batches.epoch(0)), place.device)
        precision, threads = arithmetic.precision, arithmetic.threads
    validate, looked_at = _validation(split, scaled, place)
    trainer = Trainer(
        game,
        batches,
        budget=Budget(steps=training.steps, seconds=training.seconds),
        optimisation=Optimisation("adamw", cast(float, training.learning_rate), betas=(0.9, 0.99), weight_decay=0.01),
        schedule=Schedule("cosine", warmup=0.05),
        device=place.device,
        threads=threads,
        precision=precision,
        clip_norm=1.0,
        average=training.decay,
        validate=validate,
        validations=VALIDATIONS,
        validation_rows=looked_at,
        watchers=[keeper, *place.watchers],
    )
    if found:
        tensors, record = found
        best = {name.removeprefix("best."): t for name, t in tensors.items() if name.startswith("best.")}
        keeper.best = best
        trainer.restore({name: t for name, t in tensors.items() if not name.startswith("best.")}, record["trainer"])
        place.say(f"The fit goes on from step {trainer.state.step:,}, where it was stopped.")
    return trainer, keeper


def _validation(split: _Split, scaled: Scaled, place: Place) -> tuple[Callable[[Game], dict[str, float]], int]:
    """The loss over codes held out, at noise and times that stay the same; and over how many."""
    mean, std, y = split.held
    rng = np.random.default_rng([place.seed, 1])
    again = math.ceil(LOOKS / len(mean))
    z = np.tile(mean, (again, 1)) + np.tile(std, (again, 1)) * rng.standard_normal((again * len(mean), mean.shape[1]))
    u = torch.from_numpy(scaled.whiten(z).astype(np.float32))
    noise = torch.from_numpy(rng.standard_normal(u.shape).astype(np.float32))
    t = torch.from_numpy(rng.permutation((np.arange(len(u)) + 0.5) / len(u)).astype(np.float32))
    labels = None if y is None else torch.from_numpy(np.tile(y, (again, 1)).astype(np.float32))

    @torch.no_grad()
    def validate(game: Game) -> dict[str, float]:
        game.eval()
        losses = []
        for rows in torch.arange(len(u)).split(500):
            there = lambda values: values[rows].to(place.device)  # noqa: B023
            told = None if labels is None else there(labels)
            losses.append(regression(game.model, there(u), there(noise), there(t), told).cpu())
        return {"loss": float(torch.cat(losses).mean())}

    return validate, len(u)


def _train(trainer: Trainer, keeper: _Keeper, place: Place) -> None:
    """To the end of the budget.

    Raises:
        KeyboardInterrupt: somebody stopped it; its state is kept.
    """
    try:
        state = trainer.fit()
    finally:
        for watcher in place.watchers:
            watcher.close()
    if state.stopped == "interrupted":
        if place.folder is not None:
            place.say(f"Stopped at step {state.step:,}, which is kept: the same command goes on from there.")
        raise KeyboardInterrupt


def forget(folder: Path | None) -> None:
    """Removes what was kept of a fit on its way."""
    if folder is not None:
        checkpoint.remove(folder)


def _measured(flow: MatchedFlow, scaled: Scaled, split: _Split, seed: int) -> dict[str, Any]:
    """The log density of codes held out, with its errors, beside those of simpler densities."""
    mean, std, y = split.held
    least, most = MEASURED
    rows = min(len(mean), most, max(least, MEASURED_UNITS // mean.shape[1]))
    rng = np.random.default_rng([seed, 2])
    z = mean[:rows] + std[:rows] * rng.standard_normal((rows, mean.shape[1]))
    u = scaled.whiten(z)
    found = flow.log_density(u, seed=seed)
    nats = found.nats - scaled.log_determinant
    figures = {
        "held_out_nats": float(nats.mean()),
        "held_out_error_nats": float(nats.std(ddof=1) / math.sqrt(rows)),
        "trace_error_nats": float(np.sqrt(np.square(found.error_nats).sum())) / rows,
        "step_nats": float(found.step_nats.mean()),
        "standard_normal_nats": float(-0.5 * (LOG_2PI + z**2).sum(1).mean()),
        "held_out_rows": rows,
    }
    if y is not None:
        given = flow.log_prob(u, y=y[:rows], seed=seed) - scaled.log_determinant
        figures["held_out_given_label_nats"] = float(given.mean())
    return figures | _beside(split, z, seed)


def _beside(split: _Split, z: Array, seed: int) -> dict[str, float]:
    """What densities that are fitted in seconds give the same codes, each where it is cheap."""
    mean, std, _ = split.fit
    dim = z.shape[1]
    figures: dict[str, float] = {}
    if len(mean) < 2 * dim + 10:  # a covariance of so few would say nothing
        return figures
    if dim <= GAUSSIAN_UP_TO:
        one = fit_mixture(mean, std, components=1, seed=seed)
        figures["gaussian_nats"] = float(one.log_prob(z).mean())
    if dim <= MIXTURE_UP_TO:
        some = fit_mixture(mean[:MIXTURE_ROWS], std[:MIXTURE_ROWS], seed=seed)
        figures["mixture_nats"] = float(some.log_prob(z).mean())
    return figures
