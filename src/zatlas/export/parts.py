"""The parts of a model that leave it: modules that take and give tensors, what goes in, what comes out.

Nothing in them is random: a draw from the prior is a function of standard normal noise, and where the prior is a
mixture of the number of a component.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from zatlas.export.coders import Decodes, Encodes, decoder_of, encoder_of
from zatlas.export.drawing import Draw, Spells, drawing_of, fitted_draw
from zatlas.export.mapped import mapped
from zatlas.export.ports import EXAMPLES, Part, Parts, Port, Tensors
from zatlas.latent import code_shape
from zatlas.models import VectorQuantised
from zatlas.runs.opened import Run
from zatlas.types import inferring


@torch.no_grad()
def parts_of(run: Run, *, rows: bool = False) -> Parts:
    """The parts of a run's model, which must lie on the CPU.

    Args:
        run: whose they are.
        rows: a spatial code is a row of D numbers, as the explorer's page has it, and no map ``[C, h, w]``.

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
    posterior = type(inferring(run.model).encode(*encoder.examples)).__name__ if encoder else ""
    found = [part for part in (encoder, decoder, *drawing) if part]
    shape = code_shape(run.model)
    if len(shape) == 3 and not rows:
        found = [mapped(part, shape) for part in found]
    return Parts(tuple(found), POSTERIORS.get(posterior, posterior), prior)


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
            fitted = next(iter(self.run.priors), None)
            draw = fitted_draw(self.run.ex_post_prior(fitted)) if fitted else None
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
