"""The parts of a model that leave it: modules that take and give tensors, what goes in, what comes out.

Nothing in them is random: a draw from the prior is a function of standard normal noise, and where the prior is a
mixture of the number of a component.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from zatlas.distributions import Codeword, DiagonalGaussian, Flat, Flow, GaussianMixture, Point
from zatlas.errors import UsageError
from zatlas.latent import EX_POST, ExPostPrior
from zatlas.latent.densities import Flowing, Mixture
from zatlas.models import Ladder, LinearGaussian, VectorQuantised
from zatlas.networks import Codebook, StandardNormal
from zatlas.runs.opened import Run
from zatlas.types import Generates, Infers, inferring

Tensors = tuple[Tensor, ...]
EXAMPLES = 6  # inputs that outputs are compared on


@dataclass(frozen=True)
class Port:
    """An input or an output.

    Args:
        name: ``"x"``, ``"z"``, ``"y"``, ``"mean"`` and so on.
        shape: of one example; a batch of any length stands before it.
        meaning: what its numbers are.
        numbers: how many whole numbers from 0 there are to choose from; 0: it is float32.
    """

    name: str
    shape: tuple[int, ...]
    meaning: str
    numbers: int = 0

    @property
    def dtype(self) -> str:
        return "int64" if self.numbers else "float32"

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "shape": ["batch", *self.shape], "dtype": self.dtype, "meaning": self.meaning}


@dataclass(frozen=True)
class Part:
    """One function of the model.

    Args:
        name: ``"encoder"``, ``"decoder"``, ``"prior"`` or ``"codebook"``.
        module: inputs to outputs, in their order.
        inputs: what it takes.
        outputs: what it gives.
        examples: inputs of each port, ``[EXAMPLES, *shape]``.
        reference: what the model itself gives for such inputs; None: what the module gives.
        clear: ``(inputs, tolerance) -> [B, P]``, False at positions of a code where two codewords are so nearly as near
            that rounding may choose the other one; None: there is no such choice.
    """

    name: str
    module: nn.Module
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    examples: Tensors
    reference: Callable[..., Tensors] | None = None
    clear: Callable[[Tensors, float], Tensor] | None = None

    @torch.no_grad()
    def expected(self, inputs: Sequence[Tensor]) -> Tensors:
        """What the model gives in PyTorch."""
        found = (self.reference or self.module)(*inputs)
        return found if isinstance(found, tuple) else (found,)


@dataclass(frozen=True)
class Parts:
    """All parts of a run's model.

    Attributes:
        parts: those that it has.
        posterior: the family of q(z|x), in words; empty where there is no encoder.
        prior: how codes are drawn: ``family``, ``how`` and, of a mixture, ``weights``.
    """

    parts: tuple[Part, ...]
    posterior: str
    prior: dict[str, Any] = field(default_factory=dict)


class Draw(NamedTuple):
    """How codes are drawn from a prior: a module that takes standard normal noise, and what else it takes."""

    module: nn.Module
    family: str
    how: str
    takes_y: bool = False
    weights: tuple[float, ...] = ()


# Modules -----------------------------------------------------------------------------------------------------------


class HasPrior(Generates, Protocol):
    """Keeps its prior as a module, ``(y) -> p(z|y)``."""

    prior: nn.Module


class Encodes(nn.Module):
    """x ``[B, *data]`` and y ``[B, Y]`` to the mean and the log-variance of q(z|x,y), ``[B, D]`` each."""

    def __init__(self, model: Infers) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor | Tensors:
        return told(self.model.encode(x, y))


class Decodes(nn.Module):
    """z ``[B, D]`` and y ``[B, Y]`` to the mean of p(x|z,y), ``[B, *data]``."""

    def __init__(self, model: Generates) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        mean: Tensor = self.model.generate(y=y, z=z.split(self.model.latent_dims, -1)).px.mean[0]
        return mean.float()


class Affine(nn.Module):
    """(a - before) W + after, ``[B, *shape]``, and constants beside it that are the same for every example."""

    before: Tensor
    matrix: Tensor
    after: Tensor
    beside: Tensor

    def __init__(self, before: Tensor, matrix: Tensor, after: Tensor, shape: Sequence[int], beside: Tensor) -> None:
        super().__init__()
        self.shape, self.constant = tuple(shape), bool(beside.numel())
        for name, value in (("before", before), ("matrix", matrix), ("after", after), ("beside", beside)):
            self.register_buffer(name, value.float().contiguous())

    def forward(self, a: Tensor, y: Tensor | None = None) -> Tensor | Tensors:
        out = ((a.flatten(1) - self.before) @ self.matrix + self.after).unflatten(-1, self.shape)
        return (out, self.beside.expand_as(out)) if self.constant else out


class FromNoise(nn.Module):
    """Standard normal noise ``[B, D]`` and y ``[B, Y]`` to a draw from p(z|y)."""

    def __init__(self, prior: nn.Module) -> None:
        super().__init__()
        self.prior = prior

    def forward(self, noise: Tensor, y: Tensor | None = None) -> Tensor:
        z: Tensor = self.prior(y).from_noise(noise)
        return z


class FromComponent(nn.Module):
    """Noise ``[B, D]`` and the number of a component ``[B]`` to mean + deviation * noise of that component.

    Args:
        means: ``[M, D]``.
        factors: deviations ``[M, D]``, or factors of the covariances ``[M, D, D]``.
    """

    means: Tensor
    factors: Tensor

    def __init__(self, means: Tensor, factors: Tensor) -> None:
        super().__init__()
        self.register_buffer("means", means.detach().float())
        self.register_buffer("factors", factors.detach().float())

    def forward(self, noise: Tensor, component: Tensor) -> Tensor:
        factor = self.factors[component]
        spread = (factor @ noise[..., None])[..., 0] if factor.dim() == 3 else factor * noise
        return self.means[component] + spread


class FromNoiseDown(nn.Module):
    """Noise of all levels of a ladder side by side ``[B, D]`` to their codes, the top first."""

    def __init__(self, model: Ladder) -> None:
        super().__init__()
        self.model = model

    def forward(self, noise: Tensor) -> Tensor:
        h, codes = self.model.start.view(self.model.rungs[0].state), []
        for rung, e in zip(self.model.rungs, noise[None].split(self.model.latent_dims, -1), strict=True):
            codes.append(rung.prior(h).from_noise(e))
            h = rung.descend(h, codes[-1])
        return torch.cat(codes, -1)[0]


class Coloured(nn.Module):
    """centre + axes (widths * f(noise)): white codes of a fitted flow as codes."""

    centre: Tensor
    matrix: Tensor

    def __init__(self, white: nn.Module, centre: Tensor, matrix: Tensor) -> None:
        super().__init__()
        self.white = white
        self.register_buffer("centre", centre.float())
        self.register_buffer("matrix", matrix.float())

    def forward(self, noise: Tensor) -> Tensor:
        return self.centre + self.white(noise) @ self.matrix.T


class Spells(nn.Module):
    """The numbers of P codewords ``[B, P]`` to the code that they spell, ``[B, P d]``."""

    def __init__(self, codebook: Codebook) -> None:
        super().__init__()
        self.codebook = codebook

    def forward(self, indices: Tensor) -> Tensor:
        code: Tensor = self.codebook.lookup(indices)
        return code


# What they give ----------------------------------------------------------------------------------------------------


@singledispatch
def told(q: Distribution) -> Tensor | Tensors:
    """What an encoder's graph says of a posterior: mean and log-variance."""
    return q.mean.float(), q.variance.log().float()


@told.register
def _(q: DiagonalGaussian) -> Tensors:
    return q.mean, q.log_variance


@told.register
def _(q: Point) -> Tensor:
    return q.mean


@told.register
def _(q: Codeword) -> Tensors:
    return q.mean, q.indices


@singledispatch
def encoder_of(model: Infers) -> nn.Module:
    """The module of q(z|x,y)."""
    return Encodes(model)


@encoder_of.register
def _(model: LinearGaussian) -> nn.Module:
    # its posterior is computed in float64 by a Cholesky factor, which no ONNX operator has; what depends on x is linear
    basis = torch.eye(model.weight.shape[0], dtype=torch.float64)
    at_zero = model.encode(torch.zeros(1, *model.data_shape, dtype=torch.float64))
    matrix = model.encode(basis.view(-1, *model.data_shape)).mean - at_zero.mean
    mean = model.mean.double()
    return Affine(mean, matrix, at_zero.mean[0] + mean @ matrix, model.latent_dims, at_zero.variance[0].log())


@singledispatch
def decoder_of(model: Generates) -> nn.Module:
    """The module of the mean of p(x|z,y)."""
    return Decodes(model)


@decoder_of.register
def _(model: LinearGaussian) -> nn.Module:
    return Affine(torch.zeros(1), model.weight.T, model.mean, model.data_shape, torch.zeros(0))


@singledispatch
def draw_of(p: Distribution, prior: nn.Module) -> Draw | None:
    """How codes are drawn from the prior that said p; None where it cannot be drawn from."""
    raise UsageError(
        f"a prior that gives a {type(p).__name__} has no form in which noise is an input, so that no graph can draw "
        "from it: export the run with --hub, which keeps it as it is."
    )


@draw_of.register
def _(p: DiagonalGaussian, prior: nn.Module) -> Draw:
    takes_y = bool(p.batch_shape)
    family = "normal given y" if takes_y else "normal"
    return Draw(FromNoise(prior), family, "noise of N(0, I) gives z", takes_y)


@draw_of.register
def _(p: Flow, prior: nn.Module) -> Draw:
    takes_y = bool(p.batch_shape)
    how = "noise of N(0, I) goes through the flow and comes out as z"
    return Draw(FromNoise(prior), "flow given y" if takes_y else "flow", how, takes_y)


@draw_of.register
def _(p: GaussianMixture, prior: nn.Module) -> Draw:
    # the means of a VampPrior are the encoder's, at pseudo-inputs that no longer change: they are written as numbers
    drawn = FromComponent(p.components.mean, p.components.stddev)
    return _by_component(drawn, "mixture", p.logits.double().softmax(-1))


@draw_of.register
def _(p: Flat, prior: nn.Module) -> None:
    return None


@singledispatch
def drawing_of(model: Generates, y: Tensor | None) -> Draw | None:
    """How codes are drawn from the model's own prior; None where it cannot be drawn from."""
    prior = cast(HasPrior, model).prior
    return draw_of(prior(y), prior)


@drawing_of.register
def _(model: Ladder, y: Tensor | None) -> Draw:
    return Draw(FromNoiseDown(model), "normal, level by level", "noise of N(0, I) gives z of every level")


@drawing_of.register
def _(model: LinearGaussian, y: Tensor | None) -> Draw | None:
    prior = StandardNormal(*model.latent_dims)
    return draw_of(prior(), prior)


def _by_component(module: nn.Module, family: str, weights: Tensor) -> Draw:
    how = "draw component m with probability weights[m] and noise of N(0, I): they give z"
    return Draw(module, family, how, weights=tuple((weights / weights.sum()).tolist()))


@singledispatch
def white_draw_of(density: Any, centre: Tensor, matrix: Tensor) -> Draw:
    """How codes are drawn from a density fitted to white codes u: z = centre + matrix u."""
    raise UsageError(
        f"a fitted {type(density).__name__} has no form in which noise is an input, so that no graph can draw from it: "
        "export the run with --hub, which keeps it as it is."
    )


@white_draw_of.register
def _(density: Mixture, centre: Tensor, matrix: Tensor) -> Draw:
    means, scales = torch.from_numpy(density.means), torch.from_numpy(density.scales)
    factors = matrix @ (scales if density.full else torch.diag_embed(scales))
    module = FromComponent(centre + means @ matrix.T, factors)
    return _by_component(module, "mixture fitted to codes", torch.from_numpy(density.weights))


@white_draw_of.register
def _(density: Flowing, centre: Tensor, matrix: Tensor) -> Draw:
    how = "noise of N(0, I) goes through the flow and comes out as z"
    return Draw(Coloured(FromNoise(density.prior), centre, matrix), "flow fitted to codes", how)


def _fitted(prior: ExPostPrior) -> Draw:
    white = prior.white
    centre, matrix = torch.from_numpy(white.centre), torch.from_numpy(white.axes * white.widths)
    return white_draw_of(prior.density, centre, matrix)


# All of a run ------------------------------------------------------------------------------------------------------


@torch.no_grad()
def parts_of(run: Run) -> Parts:
    """The parts of a run's model, which must lie on the CPU.

    >>> import tempfile, zatlas
    >>> options = {"latent_dim": 3, "size": "xs", "steps": 1, "verbose": False}
    >>> run = zatlas.train("digits", out=tempfile.mkdtemp(), **options)
    >>> [(part.name, [port.name for port in part.outputs]) for part in parts_of(run).parts]
    [('encoder', ['mean', 'log_variance']), ('decoder', ['image']), ('prior', ['z'])]
    """
    made = _Making(run)
    decoder = made.decoder()
    encoder = made.encoder(decoder) if run.kind.infers else None
    drawing, prior = made.drawing()
    found = (encoder, decoder, *drawing)
    posterior = type(inferring(run.model).encode(*encoder.examples)).__name__ if encoder else ""
    return Parts(tuple(part for part in found if part), POSTERIORS.get(posterior, posterior), prior)


POSTERIORS = {
    "DiagonalGaussian": "normal, its units independent",
    "FullGaussian": "normal with a full covariance, of which log_variance is the diagonal",
    "Flow": "flow, of which mean and log_variance are moments",
    "Point": "a point: mean is the code",
    "Codeword": "codewords: mean is the code, indices are the numbers of its codewords",
}


class _Making:
    """Ports and examples of one run."""

    def __init__(self, run: Run) -> None:
        self.run, self.model, self.spec = run, run.model.eval(), run.spec
        self.random = torch.Generator().manual_seed(0)
        unit = " in [0, 1]" if self.spec.values != "real" else ""
        scaled = ", 8-bit values divided by 255" if self.spec.values == "uint8" else ""
        self.x = Port("x", self.spec.shape, f"examples{unit}{scaled}")
        self.image = Port("image", self.spec.shape, f"the mean of p(x|z), {'' if unit else 'in the units of the data'}")
        if unit:
            self.image = Port("image", self.spec.shape, "the mean of p(x|z), on the scale of x")
        one_hot = self.spec.label_kind == "class"
        self.y = Port("y", (self.spec.label_dim,), "the class, one-hot" if one_hot else "real labels")
        self.with_y = (self.y,) if run.kind.conditional else ()
        self.z = Port("z", (run.latent_dim,), "the code; levels of a hierarchy side by side, top first")
        self.noise = Port("noise", (run.latent_dim,), "independent draws of N(0, 1)")

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(EXAMPLES, *shape, generator=self.random)

    def labels(self) -> Tensors:
        if not self.with_y:
            return ()
        if self.spec.label_kind == "class":
            return (torch.eye(self.spec.label_dim)[torch.arange(EXAMPLES) % self.spec.label_dim],)
        return (self.normal(self.spec.label_dim),)

    def decoder(self) -> Part:
        examples = (self.normal(self.run.latent_dim), *self.labels())
        own = Decodes(self.model)
        return Part("decoder", decoder_of(self.model), (self.z, *self.with_y), (self.image,), examples, own)

    def encoder(self, decoder: Part) -> Part:
        # examples like the model's own, and between them such as it has never seen
        x = decoder.expected(decoder.examples)[0].clone()
        if self.spec.values != "real":
            x = x.clamp(0, 1)
            x[::2] = torch.rand(x[::2].shape, generator=self.random)
        code = Port("mean", (self.run.latent_dim,), "the mean of q(z|x)")
        second: tuple[Port, ...] = ()
        clear = None
        if not self.run.kind.axes:
            quantised = cast(VectorQuantised, self.model)
            book = quantised.codebook
            second = (Port("indices", (quantised.prior.positions,), "numbers of the codewords", book.size),)
            clear = self._clear
        elif not self.run.kind.point:
            second = (Port("log_variance", code.shape, "log variances of q(z|x)"),)
        inputs = (x, *decoder.examples[1:])
        ports = (self.x, *self.with_y), (code, *second)
        model = inferring(self.model)
        return Part("encoder", encoder_of(model), *ports, inputs, Encodes(model), clear)

    def _clear(self, inputs: Tensors, tolerance: float) -> Tensor:
        model = cast(VectorQuantised, self.model)
        book = model.codebook
        vectors = model.encoder(model.standardise(inputs[0]), None).unflatten(-1, (-1, book.dim))
        words = book.codewords
        distance = words.square().sum(-1) - 2 * vectors @ words.T
        near = distance.topk(min(2, len(words)), largest=False).values
        reach = tolerance * (1 + vectors.abs().amax(-1)) * (1 + words.abs().max()) * book.dim
        return near[..., -1] - near[..., 0] > reach

    def drawing(self) -> tuple[list[Part], dict[str, Any]]:
        if not self.run.kind.axes:
            return self._sequences()
        draw = self._draw()
        if draw is None:
            return [], {
                "family": "none",
                "how": "an autoencoder has no distribution over codes: fit one with `zatlas prior` and export again",
            }
        inputs: tuple[Port, ...] = (self.noise,)
        examples: Tensors = (self.normal(self.run.latent_dim),)
        if draw.weights:
            count = len(draw.weights)
            inputs += (Port("component", (), "number of the component", count),)
            examples += (torch.arange(EXAMPLES) % count,)
        if draw.takes_y:
            inputs, examples = (*inputs, self.y), (*examples, *self.labels())
        facts: dict[str, Any] = {"family": draw.family, "how": draw.how}
        if draw.weights:
            facts |= {"weights": list(draw.weights)}
        return [Part("prior", draw.module, inputs, (self.z,), examples)], facts

    def _draw(self) -> Draw | None:
        draw = drawing_of(self.model, self.labels()[0] if self.with_y else None)
        if draw is None:
            fitted = next((kind for kind in EX_POST if self.run.has_prior(kind)), None)
            draw = _fitted(self.run.ex_post_prior(fitted)) if fitted else None
        return draw

    def _sequences(self) -> tuple[list[Part], dict[str, Any]]:
        model = cast(VectorQuantised, self.model)
        positions, words = model.prior.positions, model.codebook.size
        indices = Port("indices", (positions,), "numbers of the codewords", words)
        logits = Port("logits", (positions, words), "log probabilities, up to a constant, of each position's codeword")
        examples = (torch.randint(words, (EXAMPLES, positions), generator=self.random),)
        return [
            Part("prior", model.prior, (indices,), (logits,), examples),
            Part("codebook", Spells(model.codebook), (indices,), (self.z,), examples),
        ], {
            "family": "sequence of codewords",
            "how": f"begin with indices of zeros; for p = 0, ..., {positions - 1} run prior, draw a number with the "
            "probabilities softmax(logits[:, p]) and put it into indices[:, p]; then codebook gives z",
        }
