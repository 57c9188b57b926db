"""Networks of two players: generators, critics, and the likelihood that turns a generator's output into x itself.

A critic takes x ``[B, *data]`` and y ``[B, Y]`` to one number an example, ``[B]``: log odds or a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from zatlas.distributions.point import Point
from zatlas.networks.declaring import Sized
from zatlas.networks.mlp import MLP_WIDTH, SineFeatures, join
from zatlas.parts import Context, Settings, network

SLOPE = 0.2  # of leaky rectifiers below zero


class ImplicitLikelihood(nn.Module):
    r"""All of p(x|z) at shift + scale * sigmoid(f(z)), or at shift + scale * f(z): an implicit model has no density.

    Args:
        event_dims: dimensions of one example.
        squash: through the sigmoid, for data in [0, 1]. False for data of any value, and for networks without
            normalisation: on MNIST they ran onto the sigmoid's flat ends within 150 steps and drew one picture for
            ever; their draws may leave [0, 1] a little.
        shift: broadcastable with ``*data``; None: 0.
        scale: likewise; None: 1.
    """

    per_value = 1
    shift: Tensor
    scale: Tensor

    def __init__(
        self, event_dims: int, *, squash: bool = True, shift: Tensor | None = None, scale: Tensor | None = None
    ) -> None:
        super().__init__()
        self.event_dims = event_dims
        self.squash = squash
        self.register_buffer("shift", torch.zeros(()) if shift is None else shift)
        self.register_buffer("scale", torch.ones(()) if scale is None else scale)

    def forward(self, parameters: Tensor) -> Point:
        value = parameters.float()
        return Point(self.shift + self.scale * (value.sigmoid() if self.squash else value), self.event_dims)

    def link(self, mean: Tensor) -> Tensor:
        value = (mean - self.shift) / self.scale
        # within +-5, where the sigmoid still has a slope
        return torch.logit(value, eps=1e-6).clamp(-5, 5) if self.squash else value


class ProjectionHead(nn.Module):
    """Features h ``[B, F]`` and y ``[B, Y]`` to a·h + b + (V y)·h, ``[B]`` (Miyato & Koyama 2018, equation 5).

    The product is the log odds of y given x where the classes' log odds are linear in h; for real y, where y given h
    is Gaussian of a fixed variance.

    Raises:
        ValueError: the head is conditional and y is None.
    """

    def __init__(self, features: int, *, label_dim: int = 0) -> None:
        super().__init__()
        self.score = nn.Linear(features, 1)
        self.labels = nn.Linear(label_dim, features, bias=False) if label_dim else None
        if self.labels is not None:
            nn.init.normal_(self.labels.weight, std=features**-0.5)

    def forward(self, features: Tensor, y: Tensor | None) -> Tensor:
        score = self.score(features)[..., 0]
        if self.labels is None:
            return score
        if y is None:
            raise ValueError("a conditional network needs y")
        return score + (self.labels(y) * features).sum(-1)


def spectrally_normalised(critic: nn.Module) -> nn.Module:
    """The critic itself, with every weight matrix divided by its largest singular value (Miyato et al. 2018).

    The singular vectors are buffers that each training pass writes in place, which torch.vmap refuses: such a critic
    cannot be stacked.
    """
    for layer in list(critic.modules()):
        if isinstance(layer, nn.Linear | nn.Conv2d):
            if not layer.weight.any():  # a matrix of zeros has no largest direction to divide by
                layer.reset_parameters()
            spectral_norm(layer)
    return critic


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that takes the running moments where a batch is one example and has no spread."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or len(input) > 1:  # evaluation has one form, so that it can be traced
            return super().forward(input)
        return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class CourseGenerator(nn.Module):
    """The generator that courses teach: z ``[..., D]`` and y ``[..., Y]`` to ``[..., *out_shape]``, fully connected.

    Linear layers, each but the first batch-normalised, each followed by LeakyReLU(0.2); then the output.

    Args:
        latent_dim: D; 100 by custom.
        out_shape: of the output.
        label_dim: Y, or 0; y is concatenated to z.
        hidden: widths between.
    """

    def __init__(
        self,
        latent_dim: int,
        out_shape: Sequence[int],
        *,
        label_dim: int = 0,
        hidden: Sequence[int] = (128, 256, 512, 1024),
    ) -> None:
        super().__init__()
        self.label_dim = label_dim
        self.out_shape = tuple(out_shape)
        layers: list[nn.Module] = [nn.Linear(latent_dim + label_dim, hidden[0]), nn.LeakyReLU(SLOPE)]
        for before, after in pairwise(hidden):
            layers += [nn.Linear(before, after), BatchNorm(after), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden[-1], torch.Size(out_shape).numel()))

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        h = join(z, y, self.label_dim)
        return self.layers(h.reshape(-1, h.shape[-1])).reshape(*z.shape[:-1], *self.out_shape)


class CourseCritic(nn.Module):
    """The discriminator that courses teach: x flattened, linear layers of ``hidden`` widths and LeakyReLU(0.2)."""

    def __init__(self, data_size: int, *, label_dim: int = 0, hidden: Sequence[int] = (512, 256)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise([data_size, *hidden]):
            layers += [nn.Linear(before, after), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers)
        self.head = ProjectionHead(hidden[-1], label_dim=label_dim)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.head(self.layers(x.flatten(1)), y)


class Residual(nn.Module):
    """h + second(act(first(act(h)))) without normalisation, the identity at the start (Zhang et al. 2019, section 3.2).

    The first layer starts at He's scale times ``blocks`` ^ -1/2 and the second at zero, so that a step changes the
    output of a network of so many blocks as much as it would change one block's.

    Args:
        first: from the width to any other.
        second: back.
        blocks: how many blocks the network has.
    """

    def __init__(self, first: nn.Linear | nn.Conv2d, second: nn.Linear | nn.Conv2d, blocks: int) -> None:
        super().__init__()
        self.first, self.second = first, second
        he(first, blocks**-0.5)
        he(second, 0.0)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.second(F.leaky_relu(self.first(F.leaky_relu(h, SLOPE)), SLOPE))


def he(layer: nn.Linear | nn.Conv2d, gain: float = 1.0) -> nn.Module:
    """The layer with weights of He's variance (He et al. 2015, equation 15) times ``gain`` squared, and no offset."""
    nn.init.kaiming_normal_(layer.weight, SLOPE)
    with torch.no_grad():
        layer.weight.mul_(gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _trunk(width: int, blocks: int) -> list[nn.Module]:
    return [Residual(nn.Linear(width, width), nn.Linear(width, width), blocks) for _ in range(blocks)]


def _waves(dim: int, sines: int) -> nn.Module:
    return SineFeatures(dim, sines) if sines else nn.Identity()


class ResidualGenerator(nn.Module):
    """z ``[..., D]`` and y ``[..., Y]`` to ``[..., *out_shape]`` by residual blocks of linear layers, unnormalised.

    Args:
        latent_dim: D.
        width: of every layer.
        out_shape: of the output.
        label_dim: Y, or 0; y is concatenated to z.
        blocks: how many.
        sines: number of learned sine features of z at the input; 0: z alone.
    """

    def __init__(
        self,
        latent_dim: int,
        width: int,
        out_shape: Sequence[int],
        *,
        label_dim: int = 0,
        blocks: int = 2,
        sines: int = 0,
    ) -> None:
        super().__init__()
        self.label_dim = label_dim
        self.out_shape = tuple(out_shape)
        out = he(nn.Linear(width, torch.Size(out_shape).numel()))
        self.features = _waves(latent_dim, sines)
        first = he(nn.Linear(latent_dim + sines + label_dim, width))
        self.layers = nn.Sequential(first, *_trunk(width, blocks), nn.LeakyReLU(SLOPE), out)

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        return self.layers(join(self.features(z), y, self.label_dim)).unflatten(-1, self.out_shape)


class ResidualCritic(nn.Module):
    """x ``[B, *data]`` and y ``[B, Y]`` to ``[B]``: the mirror of :class:`ResidualGenerator`; y is projected.

    With sine features, here of x, in both networks 52 % of the draws for 25 narrow Gaussians lay on one of them after
    3000 steps, and without 24 % (benchmarks/gan.py).
    """

    def __init__(self, data_size: int, width: int, *, label_dim: int = 0, blocks: int = 2, sines: int = 0) -> None:
        super().__init__()
        self.features = _waves(data_size, sines)
        first = he(nn.Linear(data_size + sines, width))
        self.layers = nn.Sequential(first, *_trunk(width, blocks), nn.LeakyReLU(SLOPE))
        self.head = ProjectionHead(width, label_dim=label_dim)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.head(self.layers(self.features(x.flatten(1))), y)


BLOCKS = {"xs": 2, "s": 2, "m": 3, "l": 3}


@network(
    "mlp",
    when="any data: fast on a CPU, and hard to beat on small images",
    role="adversarial",
    order=1,
    settings=Sized,
)
class ResidualGame:
    """Residual blocks, fully connected."""

    def __init__(self, settings: Sized, context: Context) -> None:
        self.width, self.blocks, self.context = MLP_WIDTH[settings.size], BLOCKS[settings.size], context

    @classmethod
    def of(cls, settings: Sized, context: Context) -> ResidualGame:
        """Generator and critic of one size."""
        return cls(settings, context)

    def generator(self) -> nn.Module:
        """``(z, y) -> [..., *data]``."""
        c = self.context
        return ResidualGenerator(c.latent_dim, self.width, c.spec.shape, label_dim=c.label_dim, blocks=self.blocks)

    def critic(self) -> nn.Module:
        """``(x, y) -> [B]``."""
        c = self.context
        return ResidualCritic(c.spec.size, self.width, label_dim=c.label_dim, blocks=self.blocks)


@network(
    "course-mlp",
    when="the course's fully connected network; for a gan the course's generator and discriminator",
    role="adversarial",
    order=10,
    settings=Settings,
    as_published=True,
)
class CourseGame:
    """The course's generator and discriminator."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @classmethod
    def of(cls, settings: Settings, context: Context) -> CourseGame:
        """They have one size."""
        return cls(context)

    def generator(self) -> nn.Module:
        """``(z, y) -> [..., *data]``."""
        c = self.context
        return CourseGenerator(c.latent_dim, c.spec.shape, label_dim=c.label_dim)

    def critic(self) -> nn.Module:
        """``(x, y) -> [B]``."""
        return CourseCritic(self.context.spec.size, label_dim=self.context.label_dim)
