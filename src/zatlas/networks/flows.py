"""Invertible networks.

Our own coupling layer, forty lines, where zuko has one as good and as fast: zuko's finds its mask by ``nonzero`` and
writes into its output in place, and neither runs under ``torch.vmap``; and importing zuko switches argument validation
off for every distribution of the process.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zatlas.networks.mlp import dense

LOG_SCALE = 2.0  # a layer scales a unit by at most e^2 either way


class Coupling(nn.Module):
    r"""An affine coupling layer (Dinh et al. 2017, equation 9): the units of the mask move, as the others say.

    .. math:: z = u \odot \exp(m \odot s) + m \odot t, \quad (s, t) = \mathrm{net}\big((1 - m) \odot u, c\big)

    s is kept within 2 by a tanh. The last layer of the net starts at zero, so the coupling starts as the identity.

    Args:
        mask: m, 1 for a unit that moves and 0 for one that stays, ``[D]``.
        hidden: widths within the net.
        context_dim: C, or 0.
    """

    mask: Tensor

    def __init__(self, mask: Tensor, hidden: tuple[int, ...], *, context_dim: int = 0) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        self.net = dense([len(mask) + context_dim, *hidden, 2 * len(mask)], nn.GELU)
        last = self.net[-1]
        nn.init.zeros_(last.weight)  # type: ignore[arg-type]
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, value: Tensor, context: Tensor | None = None, *, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """z and log |det dz/du| for a value u ``[..., D]``, or u and log |det du/dz| for a value z."""
        features = value * (1 - self.mask)
        if context is not None:
            features = torch.cat([features, context.expand(*value.shape[:-1], -1)], -1)
        scale, shift = self.net(features).float().chunk(2, -1)
        log_scale = self.mask * LOG_SCALE * torch.tanh(scale / LOG_SCALE)
        shift = self.mask * shift
        if inverse:
            return (value - shift) * (-log_scale).exp(), -log_scale.sum(-1)
        return value * log_scale.exp() + shift, log_scale.sum(-1)


class CouplingFlow(nn.Module):
    """Couplings one after another; each second one moves a random half of the units, the next the other half.

    Exact and equally fast both ways. A single unit is only scaled and shifted.

    Args:
        dim: D.
        layers: number of couplings.
        hidden: widths within each one's net.
        context_dim: C, or 0.
    """

    def __init__(self, dim: int, *, layers: int, hidden: tuple[int, ...], context_dim: int = 0) -> None:
        super().__init__()
        masks: list[Tensor] = []
        for i in range(layers):
            masks.append(1 - masks[-1] if i % 2 else (torch.randperm(dim) >= dim // 2).float())
        self.couplings = nn.ModuleList(Coupling(mask, hidden, context_dim=context_dim) for mask in masks)

    def forward(self, value: Tensor, context: Tensor | None = None, *, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """z and log |det dz/du| for a value u ``[..., D]``, or u and log |det du/dz| for a value z."""
        total = torch.zeros(value.shape[:-1], dtype=value.dtype, device=value.device)
        for coupling in reversed(self.couplings) if inverse else self.couplings:
            value, log_determinant = coupling(value, context, inverse=inverse)
            total = total + log_determinant
        return value, total
