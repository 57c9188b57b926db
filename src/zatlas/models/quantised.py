"""The VQ-VAE: codes are sequences of codewords, and their prior is a model of sequences."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from zatlas.distributions.codeword import CodeSequence, Codeword
from zatlas.models.drawing import given_or_drawn
from zatlas.models.flat import standardise
from zatlas.networks.code_prior import CausalTransformer
from zatlas.networks.codebook import Codebook, GradientCodebook, MovingCodebook
from zatlas.networks.conditional import Decoder
from zatlas.networks.starting import as_published
from zatlas.parts import Context, ModelSettings, model
from zatlas.types import Generation, Inference, Level

DECAY = 0.97  # of the codewords' averages: an epoch of MNIST is a thousand batches, and the papers' 0.99 lags
PRIOR = {"xs": (32, 1), "s": (64, 2), "m": (128, 3), "l": (256, 4)}  # width and layers


class CodebookSettings(ModelSettings):
    """The settings of a VQ-VAE."""

    latent_dim: int = Field(2, ge=1, le=10**6, description="number of codes of an example (mlp)")
    codebook: Literal["ema", "gradient"] = Field("ema", description="how codewords follow the codes")
    codebook_size: int = Field(256, ge=2, le=10**6, description="number of codewords")
    code_dim: int = Field(16, ge=1, le=10**6, description="length of a codeword")


@model(
    "vqvae",
    title="Vector-quantised variational autoencoder",
    when="sharp reconstructions through discrete codes: to compress, or to feed a sequence model",
    source="van den Oord et al. 2017",
    order=5,
    traits="infers codebook steps",
    settings=CodebookSettings,
    network="quantised",
    objective="vq",
    sections=("likelihood",),
    defaults={"training": {"learning_rate": 3e-3, "beta2": 0.999, "batch_size": 64, "weight_decay": 0.0}},
)
class VectorQuantised(nn.Module):
    """p(x|z) p(z) over discrete codes z of P positions with M codewords of d each (van den Oord et al. 2017).

    The posterior is one of the M^P codes, so log p(x|z) + log p(z) at that code is a bound on log p(x) of the discrete
    model, and ``infer`` is deterministic. Labels are ignored.

    Args:
        encoder: the network ``(x, None) -> [B, P d]``, positions first.
        codebook: M codewords of d.
        decoder: ``(z, None) -> p(x|z)``.
        prior: over the numbers of the P codewords.
        standardise: applied to x first.
    """

    def __init__(
        self,
        encoder: nn.Module,
        codebook: Codebook,
        decoder: nn.Module,
        prior: CausalTransformer,
        *,
        standardise: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.latent_dims: tuple[int, ...] = (prior.positions * codebook.dim,)
        self.standardise = standardise or nn.Identity()
        self.encoder = encoder
        self.codebook = codebook
        self.decoder = decoder
        self.prior = prior

    @classmethod
    def of(cls, settings: CodebookSettings, context: Context) -> VectorQuantised:
        """A VQ-VAE and the prior over its codes."""
        spec, stats = context.spec, context.stats
        likelihood = context.make("likelihood")
        out_shape = (likelihood.per_value * spec.shape[0], *spec.shape[1:])
        encoder, decoder, positions = context.make("network", out_shape=out_shape)
        kind = MovingCodebook if settings.codebook == "ema" else GradientCodebook
        book = kind(settings.codebook_size, settings.code_dim, decay=DECAY)
        width, layers = PRIOR[context.config.network.size]
        sequence = CausalTransformer(positions, settings.codebook_size, width=width, layers=layers)
        published = as_published(context)
        first = None if published else standardise(spec, stats)
        said = Decoder(decoder, likelihood, None if published else stats.mean)
        return cls(encoder, book, said, sequence, standardise=first)

    def encode(self, x: Tensor, y: Tensor | None = None) -> Codeword:
        """q(z|x): the codewords nearest to the encoder's vectors, over ``[B, P d]``."""
        return self.codebook(self.encoder(self.standardise(x), None).float())

    def codes(self) -> CodeSequence:
        """p(z) over ``[P d]``."""
        return CodeSequence(self.prior, self.codebook)

    def infer(self, x: Tensor, y: Tensor | None = None, *, samples: int = 1, noise: Tensor | None = None) -> Inference:
        """The code of x ``[B, *data]``, K = ``samples`` times or once for each row of ``noise``, and p(x|z) there."""
        q = self.encode(x)
        z = q.rsample((samples,)) if noise is None else q.from_noise(noise)
        return Inference((Level(q, self.codes(), z),), self.decoder(z, None))

    def generate(self, n: int | None = None, y: Tensor | None = None, *, z: tuple[Tensor, ...] = ()) -> Generation:
        """p(x|z) at n draws from the prior (one for each row of y, if y is given), or at the given z.

        Args:
            n: how many; without y and z one.
            y: labels ``[B, Y]``, of which only B counts.
            z: codes ``[B, P d]`` or ``[K, B, P d]``, decoded as they are, on a codeword or between two.

        Deterministic where z is given.
        """
        code = given_or_drawn(z, self.codes, n, y)
        return Generation((code,), self.decoder(code, None))
