"""An objective's own terms over a data set: what validation watches, and what a model without a likelihood shows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zatlas.evaluation.elbo import Batches
from zatlas.evaluation.figure import Figure, mean_figure
from zatlas.training import Game, Precision, autocast

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
    """The players' losses and their parts over ``batches``, the schedules at their end, in nats per example.

    Args:
        game: the model and its objective.
        batches: the examples.
        players: whose; None: the first, whose loss is called ``loss`` and the others' by their player.
        device: where the game lives.
        precision: of the networks.
        seed: of the draws; the global random state is left as it was.
    """
    first = game.players[0]
    game.eval()
    values: dict[str, list[Tensor]] = {}
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for batch in batches.epoch(0):
            for player in players or (first,):
                with autocast(device, precision):
                    terms = game(player, batch, LAST_STEP)
                loss = "loss" if player == first else f"{player}_loss"
                for name, value in {loss: terms.loss, **terms.parts}.items():
                    values.setdefault(name, []).append(value.float().expand(len(batch.x)).cpu())
    return {name: mean_figure(torch.cat(parts), "the objective's own term") for name, parts in values.items()}


def mean_terms(
    game: Game, batches: Batches, *, device: torch.device, precision: Precision = "fp32", seed: int = 0
) -> dict[str, float]:
    """The means of :func:`term_figures`."""
    figures = term_figures(game, batches, device=device, precision=precision, seed=seed)
    return {name: figure.value for name, figure in figures.items()}
