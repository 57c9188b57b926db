"""An objective's own terms over a data set: what validation watches, and what a model without a likelihood shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from zatlas.evaluation.elbo import Batches
from zatlas.evaluation.figure import Figure, mean_figure
from zatlas.evaluation.reconstruction import Reconstruction
from zatlas.training import Game, Precision, autocast, forked_rng

# Terms that are pure numbers, or in a unit of their own: probabilities, norms, counts of codewords.
PURE = (
    *("d_real", "d_fake", "penalty", "distance", "perplexity", "multiplier", "mmd", "critic_accuracy"),
    *("absolute", "perceptual", "patches"),
)
UNITS = dict.fromkeys(PURE, "")
LAST_STEP = 2**31 - 1  # schedules of the objective are over


@torch.no_grad()
def term_figures(
    game: Game,
    batches: Batches,
    *,
    players: Sequence[str] | None = None,
    device: torch.device,
    precision: Precision = "fp32",
    seed: int = 0,
) -> dict[str, Figure]:
    """The players' losses and their parts over ``batches``, the schedules at their end; nats, but for :data:`UNITS`.

    Args:
        game: the model and its objective.
        batches: the examples.
        players: whose; None: the first, whose loss is called ``loss`` and the others' by their player.
        device: that the game is on.
        precision: of the networks.
        seed: of the draws; the global random state is left as it was.
    """
    first = game.players[0]
    game.eval()
    values: dict[str, list[Tensor]] = {}
    with forked_rng(device, seed=seed):
        for batch in batches.epoch(0):
            for player in players or (first,):
                with autocast(device, precision):
                    terms = game(player, batch, LAST_STEP)
                loss = "loss" if player == first else f"{player}_loss"
                for name, value in {loss: terms.loss, **terms.parts}.items():
                    values.setdefault(name, []).append(value.float().expand(len(batch.x)).cpu())
    how = "the objective's own term"
    units = UNITS | {name: game.objective.unit for name in values if name.endswith("loss")}
    return {name: mean_figure(torch.cat(parts), how, unit=units.get(name, "nats")) for name, parts in values.items()}


def quoted(terms: dict[str, float], *, bits_over: int | None, shown: Reconstruction | None) -> dict[str, float]:
    """Mean terms, and beside them what the field quotes: ``bits_per_dimension`` of 8-bit data, ``psnr`` of images.

    Args:
        terms: as :func:`mean_terms` gives them.
        bits_over: the number of values of an example; None: no bits.
        shown: how far reconstructions are off; None: no PSNR.
    """
    found = dict(terms)
    if bits_over and {"distortion", "rate"} <= terms.keys():
        found["bits_per_dimension"] = (terms["distortion"] + terms["rate"]) / (bits_over * math.log(2))
    if shown is not None:
        found["psnr"] = shown.figures()["psnr"].value
    return found


def mean_terms(
    game: Game, batches: Batches, *, device: torch.device, precision: Precision = "fp32", seed: int = 0
) -> dict[str, float]:
    """The means of :func:`term_figures`."""
    figures = term_figures(game, batches, device=device, precision=precision, seed=seed)
    return {name: figure.value for name, figure in figures.items()}
