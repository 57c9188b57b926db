"""A prior over sequences of codewords: a small causal transformer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

Past = tuple[Tensor, Tensor]


class CausalBlock(nn.Module):
    """Attention to what came before, then two linear layers, each on normalised input and added to it.

    Args:
        width: of the features.
        heads: of the attention; a divisor of the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_layers = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend, self.attended = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, h: Tensor, past: Past | None = None) -> tuple[Tensor, Past]:
        """h ``[B, P, width]``; or the one position ``[B, 1, width]`` after a past, whose keys and values it extends."""
        split = self.attend(self.before_attention(h)).unflatten(-1, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)  # [B, heads, P, width / heads]
        if past is not None:
            key, value = torch.cat([past[0], key], -2), torch.cat([past[1], value], -2)
        # spelt out, since torch cannot stack its fused attention on the CPU (and would say so at every run)
        scores = (query / key.shape[-1] ** 0.5) @ key.transpose(-1, -2)
        if past is None:
            scores = scores + torch.full(scores.shape[-2:], -torch.inf, device=h.device).triu(1)
        h = h + self.attended((scores.softmax(-1) @ value).transpose(1, 2).flatten(-2))
        return h + self.layers(self.before_layers(h)), (key, value)


class CausalTransformer(nn.Module):
    r"""p(k) = prod_p p(k_p | k_1, ..., k_{p-1}) over P numbers below M (Vaswani et al. 2017; pre-norm).

    It sees the numbers, not the codewords, and untrained it is the uniform distribution: P log M nats.

    Args:
        positions: P.
        codewords: M.
        width: of the features.
        layers: how many blocks.
        heads: of the attention.
    """

    def __init__(self, positions: int, codewords: int, *, width: int = 64, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.positions = positions
        self.start = nn.Parameter(torch.randn(width))
        self.tokens = nn.Embedding(codewords, width)
        self.places = nn.Parameter(torch.randn(positions, width))
        self.blocks = nn.ModuleList(CausalBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, codewords)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, indices: Tensor) -> Tensor:
        """Logits ``[B, P, M]`` of every position given those before it in ``[B, P]``."""
        start = self.start.expand(indices.shape[0], 1, -1)
        h = torch.cat([start, self.tokens(indices[:, :-1])], 1) + self.places
        for block in self.blocks:
            h, _ = block(h)
        return self.out(self.norm(h)).float()

    def log_prob(self, indices: Tensor) -> Tensor:
        """log p(k) of ``[..., P]``, in nats, ``[...]``."""
        logits = self(indices.reshape(-1, self.positions))
        log_p = logits.log_softmax(-1).gather(-1, indices.reshape(*logits.shape[:-1], 1))
        return log_p.sum((-1, -2)).reshape(indices.shape[:-1])

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n draws ``[n, P]``, one position after another."""
        pasts: list[Past | None] = [None] * len(self.blocks)
        drawn: list[Tensor] = []
        h = self.start.expand(n, -1)
        for place in self.places:
            h = (h + place)[:, None]
            for i, block in enumerate(self.blocks):
                h, pasts[i] = block(h, pasts[i])
            p = self.out(self.norm(h[:, 0])).float().softmax(-1)
            # the first of M exponential clocks with these rates: unlike multinomial it can be stacked
            drawn.append((p / -torch.rand_like(p).clamp_min(1e-38).log()).argmax(-1))
            h = self.tokens(drawn[-1])
        return torch.stack(drawn, -1)
