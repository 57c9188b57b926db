"""Into the latent space and out of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from zatlas.errors import UsageError
from zatlas.evaluation import estimate_elbo
from zatlas.explorer import forms
from zatlas.explorer.explored import Explored
from zatlas.explorer.questions import Answer, question
from zatlas.latent import draw_codes, paths
from zatlas.types import Batch


@dataclass(frozen=True)
class One:
    """One example, as the estimators take examples."""

    x: torch.Tensor
    y: torch.Tensor | None

    def __len__(self) -> int:
        return len(self.x)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        yield Batch(self.x, self.y)


@question(forms.Decode)
def decode(explored: Explored, asked: forms.Decode) -> Answer:
    """The means of p(x|z)."""
    z = explored.checked(asked.z)
    return {}, {"mean": explored.decoded(z, explored.labels(asked.labels, len(z)))}


@question(forms.Encode)
def encode(explored: Explored, asked: forms.Encode) -> Answer:
    """The posterior of an image of the reader's own, its reconstruction, and the bound on its log-likelihood."""
    run = explored.run
    model = run.need_inference("code of an image")
    x, (low, high) = explored.image(asked.image), explored.range
    y = explored.labels(None if asked.label is None else [asked.label], 1)
    tensor = torch.from_numpy(x).float().to(run.device)
    given = None if y is None else torch.from_numpy(y).to(run.device)
    with torch.no_grad():
        q = model.encode(tensor, given)
    mean, std = q.mean.float().cpu().numpy(), q.stddev.float().cpu().numpy()
    shown = explored.decoded(mean, y)
    facts: dict[str, Any] = {"pixel_error": float(np.abs(shown - x).mean() / (high - low))}
    if not run.kind.point:
        bound = estimate_elbo(model, One(tensor, given), device=run.device, precision=run.precision)
        facts |= {"distortion": float(bound.distortion[0]), "rate": float(bound.rate[0])}
        facts["loss"] = facts["distortion"] + facts["rate"]
    facts["quantity"] = str(run.quantity)
    return facts, {"mean": mean, "std": None if run.kind.point else std, "reconstruction": shown}


@question(forms.Score)
def distortion(explored: Explored, asked: forms.Score) -> Answer:
    """How badly codes explain one image: -log p(x|z) of each, in nats."""
    run = explored.run
    run.need_inference("distortion of an image")
    x = torch.from_numpy(explored.image(asked.image)).to(run.device)
    z = torch.from_numpy(explored.checked(asked.z)).to(run.device)
    y = explored.labels(None if asked.label is None else [asked.label], len(z))
    given = None if y is None else torch.from_numpy(y).to(run.device)
    with torch.no_grad():
        px = run.model.generate(y=given, z=z.split(run.model.latent_dims, -1)).px
        nats = -px.log_prob(x)[0]
    return {}, {"nats": nats.float().cpu().numpy()}


@question(forms.Draw)
def sample(explored: Explored, asked: forms.Draw) -> Answer:
    """Codes drawn from the prior."""
    run = explored.run
    if run.kind.point:
        raise UsageError(f"{run.folder.path} has no prior to draw from: `zatlas prior` fits one.")
    y = explored.labels(None if asked.label is None else [asked.label], asked.n)
    return {}, {"z": draw_codes(run.model, asked.n, y, device=run.device, seed=asked.seed)}


@question(forms.Interpolate, slow=True)
def interpolate(explored: Explored, asked: forms.Interpolate) -> Answer:
    """A path through codes, decoded; its log density where one was fitted."""
    anchors = explored.checked(asked.codes).astype(np.float64)
    if (sentence := explored.abilities.get(asked.path)) is not None:
        raise UsageError(sentence)
    if asked.path == "density":
        run = explored.run
        explored.fitted()
        assert explored.prior is not None
        of = paths.log_density(explored.prior)
        spread = run.encode(run.spread("train", 2000)).mean.astype(np.float64)
        z = paths.densest(anchors, asked.n, of, spread)
    else:
        z = (paths.linear if asked.path == "linear" else paths.spherical)(anchors, asked.n)
    nats = None if explored.density is None else explored.density[0](z)
    return {}, {"z": z, "mean": explored.decoded(z, explored.labels(asked.labels, len(z))), "log_density": nats}
