"""A density of codes given by the flow of a learned velocity."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.latent.probability_flow import Estimate, VelocityOf, log_density, transported
from zatlas.networks.velocity import Velocity, velocity
from zatlas.training import forked_rng, load_module

SAMPLING_STEPS = 10  # of four velocities each
DENSITY_STEPS = 20
PROBES = 2  # of the trace
AT_ONCE = 250  # codes in the network


class MatchedFlow:
    """The flow of a velocity from N(0, I) to codes of mean 0 and variance 1 (Lipman et al. 2023), perhaps given labels.

    Args:
        velocity: the network.
        record: what it takes to build it again: ``shape`` of a code, ``label_dim``, ``width``, ``blocks``.
    """

    def __init__(self, velocity: Velocity, record: dict[str, Any]) -> None:
        self.velocity = velocity.eval().requires_grad_(False)
        self.record = record
        self.label_dim = int(record["label_dim"])

    @classmethod
    def untrained(cls, shape: tuple[int, ...], *, label_dim: int, width: int, blocks: int) -> MatchedFlow:
        """N(0, I), with a network whose weights come from torch's random state."""
        record = {"shape": list(shape), "label_dim": label_dim, "width": width, "blocks": blocks}
        made = velocity(shape, label_dim=label_dim, width=width, blocks=blocks)
        return cls(made, {"density": "flow-matching", **record})

    @classmethod
    def of(cls, record: dict[str, Any], tensors: dict[str, Array]) -> MatchedFlow:
        with forked_rng():
            network = {key: record[key] for key in ("label_dim", "width", "blocks")}
            made = cls.untrained(tuple(record["shape"]), **network)
        load_module(made.velocity, {name: torch.from_numpy(values) for name, values in tensors.items()})
        return made

    @property
    def dim(self) -> int:
        """D."""
        return int(np.prod(self.record["shape"]))

    @property
    def device(self) -> torch.device:
        return next(self.velocity.parameters()).device

    def to(self, device: torch.device) -> None:
        self.velocity.to(device)

    def tensors(self) -> dict[str, Array]:
        return {name: tensor.cpu().numpy() for name, tensor in self.velocity.state_dict().items()}

    def sample(
        self, n: int, seed: int, *, y: Array | None = None, guidance: float | None = None, steps: int | None = None
    ) -> Array:
        """n draws ``[n, D]``; the same for the same seed and number of steps.

        Args:
            n: how many.
            seed: of the noise that the flow begins with.
            y: labels ``[n, Y]``; None: whatever the label.
            guidance: g in v + (g - 1) (v - v'), with v the velocity given y and v' that whatever the label (Ho &
                Salimans 2022, equation 6): 0 is p(z), 1 is p(z|y), and beyond, draws are more typical of their label
                and less diverse. None: 1 with labels.
            steps: of the equation's solver, of four velocities each (with guidance other than 0 and 1 of eight).

        Raises:
            UsageError: labels where there were none to learn from, or of another shape; guidance without labels, or
                below 0; no steps.
        """
        labels = self._labels(n, y, guidance)
        if steps is not None and steps < 1:
            raise UsageError(f"the flow cannot be solved in {steps} steps: give at least 1.")
        drawn = np.random.default_rng(seed).standard_normal((n, self.dim), np.float32)  # torch's first rows depend on n
        noise = torch.from_numpy(drawn).to(self.device)
        parts = [
            self.solved(noise[rows], None if labels is None else labels[rows], guidance, steps) for rows in _chunks(n)
        ]
        return torch.cat([noise[:0], *parts]).double().cpu().numpy()

    def solved(
        self, noise: Tensor, y: Tensor | None = None, guidance: float | None = None, steps: int | None = None
    ) -> Tensor:
        """Where the flow takes noise ``[B, D]``."""
        return transported(self.field(y, guidance), noise, steps=steps or SAMPLING_STEPS)

    def field(self, y: Tensor | None = None, guidance: float | None = None) -> VelocityOf:
        """The velocity of codes ``[B, D]`` at a time ``[]``, given labels ``[B, Y]`` and with guidance."""

        def v(t: Tensor, u: Tensor, y: Tensor | None) -> Tensor:
            told: Tensor = self.velocity(t.expand(len(u)), u, y)
            return told

        if y is None or guidance == 0:
            return lambda t, u: v(t, u, None)
        if guidance is None or guidance == 1:
            return lambda t, u: v(t, u, y)
        return lambda t, u: torch.lerp(v(t, u, None), v(t, u, y), guidance)

    def log_prob(self, u: Array, **options: Any) -> Array:
        return self.log_density(u, **options).nats

    def log_density(
        self,
        u: Array,
        *,
        y: Array | None = None,
        guidance: float | None = None,
        steps: int | None = None,
        probes: int | None = None,
        seed: int = 0,
    ) -> Estimate:
        """log p(u), or log p(u|y), with its errors, in nats: :func:`zatlas.latent.probability_flow.log_density`.

        Args:
            u: ``[N, D]``.
            y: labels ``[N, Y]``; None: whatever the label.
            guidance: as for :meth:`sample`; the density is that of the draws.
            steps: of the solver; None: 20.
            probes: of the trace; None: 2.
            seed: of the probes.

        Raises:
            UsageError: as for :meth:`sample`; fewer than one step or two probes.
        """
        steps, probes = steps or DENSITY_STEPS, probes or PROBES
        if steps < 2 or probes < 2:
            raise UsageError(
                f"a log density by {steps} steps and {probes} probes has no error: give 2 or more of each."
            )
        labels = self._labels(len(u), y, guidance)
        generator = torch.Generator().manual_seed(seed)
        values = torch.from_numpy(np.asarray(u)).float().to(self.device)
        parts = [
            log_density(
                self.field(None if labels is None else labels[rows], guidance),
                values[rows],
                steps=steps,
                probes=probes,
                generator=generator,
            )
            for rows in _chunks(len(u)) or [slice(0)]
        ]
        return Estimate(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    def _labels(self, n: int, y: Array | None, guidance: float | None) -> Tensor | None:
        """Checked labels, on the device."""
        if (y is not None or guidance) and not self.label_dim:
            what = "label" if y is not None else "guidance"
            raise UsageError(f"this prior was fitted to codes without labels, so it takes no {what}: leave it out.")
        if guidance is not None and not 0 <= guidance <= 1000:
            raise UsageError(f"guidance {guidance:g} cannot be: 0 is whatever the label, 1 given it, and more is more.")
        if y is None:
            if guidance:
                raise UsageError("guidance is towards a label: give labels, or leave it out.")
            return None
        if np.shape(y) != (n, self.label_dim):
            raise UsageError(f"labels of shape {list(np.shape(y))} do not fit: wanted is [{n}, {self.label_dim}].")
        return torch.from_numpy(np.asarray(y, np.float32)).to(self.device)


def _chunks(n: int) -> list[slice]:
    return [slice(start, start + AT_ONCE) for start in range(0, n, AT_ONCE)]
