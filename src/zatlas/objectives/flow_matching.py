"""Flow matching: a velocity is learned by regression, without solving an equation while it is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zatlas.objectives.objective import Objective
from zatlas.types import Batch, Terms


class FlowMatching(Objective):
    r"""The mean square, over units, of what the velocity is off the straight way from noise to a code.

    .. math:: \mathbb E_{t, e, u}\, \frac 1 D \big|v(u_t, t, y) - (u - e)\big|^2, \qquad u_t = (1 - t)\, e + t u

    (Lipman et al. 2023, equation 23 with sigma_min = 0; the rectified flow of Liu et al. 2023, equation 1). Its minimum
    is the velocity whose flow takes N(0, I) to the codes. It is no likelihood and has no unit. The times of a batch are
    one in each B-th of [0, 1], which the mean over the batch wants fewer steps for than independent ones.

    Args:
        drop: the share of labels that are not told, so that the velocity whatever the label is learned too (Ho &
            Salimans 2022).

    It plays on codes: x of a batch is ``[B, D]``, of mean 0 and variance 1.
    """

    unit = ""

    def __init__(self, drop: float = 0.1) -> None:
        super().__init__()
        self.drop = drop

    def forward(self, player: str, model: Any, batch: Batch, step: Tensor | int) -> Terms:
        u = batch.x
        t = (torch.arange(len(u), device=u.device) + torch.rand(len(u), device=u.device)) / len(u)
        known = (torch.rand(len(u), device=u.device) >= self.drop).to(u.dtype)
        return Terms(regression(model, u, torch.randn_like(u), t, batch.y, known), {})


def regression(
    model: Any, u: Tensor, noise: Tensor, t: Tensor, y: Tensor | None = None, known: Tensor | None = None
) -> Tensor:
    """The loss of codes u ``[B, D]`` at given noise ``[B, D]`` and times ``[B]``: ``[B]``."""
    on_the_way = torch.lerp(noise, u, t[:, None])
    return (model(t, on_the_way, y, known) - (u - noise)).square().mean(-1)
