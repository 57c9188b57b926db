"""What an exported file holds beside the decoder and the encoder, so that the page need not be told any formula twice.

The density of the data and the distortion of an image are graphs traced from the functions that the server calls.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from zatlas.arrays import Array
from zatlas.data import evenly_spaced
from zatlas.distributions import Bernoulli, DiagonalGaussian
from zatlas.explorer import forms
from zatlas.explorer.asking import QUESTIONS, Explored
from zatlas.export.ports import EXAMPLES, Part, Port, Tensors
from zatlas.latent import ExPostPrior, paths
from zatlas.latent.densities import Mixture
from zatlas.latent.frames import White
from zatlas.runs.opened import Run

FILM_BYTES = 60_000  # packed, of the film of the training
FILM_CODES = 25  # of a film that is thinned
FEWEST_SHOTS = 4
LIKE = 512  # inputs on which the rounding of weights is made good
LEAST, MOST = 1e-30, 1 - 2**-24  # means that float32 tells from 0 and 1


class Spread(nn.Module):
    """z ``[B, D]`` to the log density of the aggregate posterior, ``[B]`` nats."""

    def __init__(self, log_density: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.log_density = log_density

    def forward(self, z: Tensor) -> Tensor:
        return self.log_density(z)


Nats = Callable[[Tensor, Tensor], Tensor]  # of decoded means and images, [B, *data] each: [B]


class Scores(nn.Module):
    """Decoded means and an image, ``[B, *data]`` each, to -log p(x|z), ``[B]`` nats."""

    def __init__(self, nats: Nats) -> None:
        super().__init__()
        self.nats = nats

    def forward(self, image: Tensor, x: Tensor) -> Tensor:
        return self.nats(image, x)


@singledispatch
def nats_of(px: Distribution, other: Distribution) -> tuple[Nats, Nats] | None:
    """-log p(x|z) from the mean of p(x|z), to be traced and as the distribution has it, from two under different codes.

    None where the mean does not say all.
    """
    return None


@nats_of.register
def _(px: Bernoulli, other: Bernoulli) -> tuple[Nats, Nats]:
    logits = lambda mean: torch.logit(mean.clamp(LEAST, MOST))

    def traced(mean: Tensor, x: Tensor) -> Tensor:
        # what torch makes of its own loss is the log of a sigmoid, which the runtime rounds to that of 0
        return (nn.functional.softplus(logits(mean)) - x * logits(mean)).flatten(1).sum(-1)

    return traced, lambda mean, x: -Bernoulli(logits(mean), mean.dim() - 1).log_prob(x)


@nats_of.register
def _(px: DiagonalGaussian, other: DiagonalGaussian) -> tuple[Nats, Nats] | None:
    if not torch.equal(px.log_variance, other.log_variance):
        return None
    log_variance = px.log_variance[0, :1].detach()
    nats = lambda mean, x: -DiagonalGaussian(mean, log_variance, mean.dim() - 1).log_prob(x)
    return nats, nats


@torch.no_grad()
def score_part(explored: Explored, decoder: Part) -> Part | None:
    """The graph of the distortion; None where it is no function of the decoded mean."""
    run, inputs = explored.run, decoder.examples
    model, y = run.model, inputs[1] if len(inputs) > 1 else None
    drawn = [model.generate(y=y, z=(times * inputs[0]).split(model.latent_dims, -1)).px for times in (1.0, 0.5)]
    nats = nats_of(*drawn)
    if nats is None:
        return None
    traced, reference = nats
    image = decoder.expected(inputs)[0]
    ports = Port("image", run.spec.shape, "decoded"), Port("x", run.spec.shape, "the image that is to be explained")
    given = image, image.roll(1, 0).clone()
    wanted = lambda *inputs: (reference(*inputs),)
    return Part("score", Scores(traced), ports, (Port("nats", (), "-log p(x|z)"),), given, wanted)


@torch.no_grad()
def inputs_like(run: Run, part: Part) -> Tensors | None:
    """Inputs such as the page gives to the decoder and the encoder; None for other parts, and for codewords.

    Codes of the prior and twice as far out; images that are decoded from them, of the data, and of noise.
    """
    if part.name not in ("decoder", "encoder") or not run.kind.axes:
        return None
    random, spec = torch.Generator().manual_seed(1), run.spec
    z = torch.randn(LIKE, run.latent_dim, generator=random)
    z[::2] *= 2
    y: Tensors = ()
    if run.kind.conditional:
        one_hot = spec.label_kind == "class"
        y = (torch.eye(spec.label_dim)[torch.arange(LIKE) % spec.label_dim],)
        y = y if one_hot else (torch.randn(LIKE, spec.label_dim, generator=random),)
    if part.name == "decoder":
        return (z, *y)
    px = run.model.generate(y=y[0] if y else None, z=z.split(run.model.latent_dims, -1)).px
    x = px.mean.reshape(LIKE, *spec.shape).clone()
    if run.has_data:
        rows = run.spread("train", LIKE // 2)
        x[1 : 2 * len(rows) : 2] = torch.as_tensor(run.examples(rows), dtype=torch.float32).reshape(-1, *spec.shape)
    if spec.values != "real":
        x = x.clamp(0, 1)
        x[::4] = torch.rand(x[::4].shape, generator=random)
    return (x, *y)


def density_part(explored: Explored) -> tuple[Part, Array]:
    """The graph of the log density of the aggregate posterior, and its quantiles over codes of the data."""
    _, typical = explored.fitted()
    prior = explored.prior
    assert prior is not None
    short = lambda values: np.ascontiguousarray(values, np.float32)
    tensors = {name: short(values) for name, values in prior.density.tensors().items()}
    # the page computes in float32
    single = ExPostPrior(White(*map(short, prior.white)), Mixture(**tensors), prior.facts)
    z = torch.randn(EXAMPLES, explored.run.latent_dim, generator=torch.Generator().manual_seed(0))
    port = Port("log_density", (), "log q(z) of the aggregate posterior, nats")
    codes = Port("z", (explored.run.latent_dim,), "the code")
    return Part("density", Spread(paths.log_density(single)), (codes,), (port,), (z,)), typical


def film(explored: Explored) -> tuple[dict[str, Any], Array] | str:
    """Facts and images of the training's snapshots, thinned to what a file may hold; or why there are none."""
    facts, arrays = QUESTIONS["snapshots"].answer(explored, forms.Since())
    images = arrays["images"]
    if images is None:
        return "The run holds no snapshots of its training."
    steps = np.asarray(facts["steps"])
    if _packed(images) > FILM_BYTES:
        images = images[:, : min(images.shape[1], FILM_CODES)]
    while len(images) > FEWEST_SHOTS and _packed(images) > FILM_BYTES:
        kept = evenly_spaced(np.arange(len(images)), max(FEWEST_SHOTS, int(0.8 * len(images))))
        images, steps = images[kept], steps[kept]
    if (size := _packed(images)) > FILM_BYTES:
        return (
            f"A film of the training would add {size / 1e6:.1f} MB to this file, which holds none: `zatlas explore` "
            "shows it."
        )
    return {"steps": steps.tolist(), "curve": facts["curve"]}, images


def _packed(images: Array) -> int:
    return len(gzip.compress(np.ascontiguousarray(images).tobytes(), 6))
