"""Fully connected networks. Every network takes ``(input, y)``; one built without labels ignores y."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from zatlas.networks.declaring import Pair, Sized
from zatlas.networks.likelihood import data_units
from zatlas.networks.starting import start_log_variance
from zatlas.parts import SORTS, Context, Settings, network
from zatlas.types import Linear


def dense(sizes: Sequence[int], activation: type[nn.Module], *, normalise: bool = False) -> nn.Sequential:
    """Linear layers of the given sizes; between them layer normalisation, if asked for, and the activation."""
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(sizes)):
        if i:
            layers += [nn.LayerNorm(before)] if normalise else []
            layers.append(activation())
        layers.append(nn.Linear(before, after))
    return nn.Sequential(*layers)


def join(features: Tensor, y: Tensor | None, label_dim: int) -> Tensor:
    """Features ``[..., F]`` and y ``[..., Y]`` side by side; the features alone where the network has no labels.

    Raises:
        ValueError: the network is conditional and y is None.
    """
    if not label_dim:
        return features
    if y is None:
        raise ValueError("a conditional network needs y")
    return torch.cat([features, y], -1)


FAR = 5.0  # standard deviations


class BesideLinear(nn.Module):
    """A network that starts at zero, added to a linear map: ``net(a, y) + W a + b`` for a ``[..., *rest]``.

    So the whole starts as the linear model that the map is set to, and learns what that leaves over. The network sees a
    up to 5 units from zero: a column that hardly ever changes may be hundreds of units off in a new row.

    Args:
        net: its last layer is set to zero.
        inputs: size of a, without y.
        out_shape: of the network's output.
    """

    def __init__(self, net: MLPEncoder | MLPDecoder, inputs: int, out_shape: Sequence[int]) -> None:
        super().__init__()
        last = net.layers[-1]
        assert isinstance(last, nn.Linear)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        self.net = net
        self.out_shape = tuple(out_shape)
        self.linear = nn.Linear(inputs, torch.Size(out_shape).numel())

    def forward(self, a: Tensor, y: Tensor | None) -> Tensor:
        # in float32, as the map may be exact
        with torch.autocast(a.device.type, enabled=False):
            straight = self.linear(a.float()).unflatten(-1, self.out_shape)
        return straight + self.net(a.clamp(-FAR, FAR), y)


class SineFeatures(nn.Module):
    r"""z ``[..., D]`` to (z, sin(W z + b)) ``[..., D + features]``, W and b learned.

    A few latent units must place thousands of different images; plain layers bend such a space slowly, and waves of
    several lengths bend it at once (Tancik et al. 2020, equation 5, with learned frequencies). On MNIST with two units
    they are worth one nat. A wave's frequency has standard deviation :math:`\sqrt{8/D}`, which is 2 for two units.
    """

    def __init__(self, dim: int, features: int) -> None:
        super().__init__()
        self.waves = nn.Linear(dim, features)
        nn.init.normal_(self.waves.weight, std=math.sqrt(8 / dim))
        nn.init.uniform_(self.waves.bias, -math.pi, math.pi)

    def forward(self, z: Tensor) -> Tensor:
        # in float32: rounded to bfloat16, the phase of a high frequency would be off by a visible part of a turn
        with torch.autocast(z.device.type, enabled=False):
            return torch.cat([z, self.waves(z.float()).sin()], -1)


class MLPEncoder(nn.Module):
    """x ``[B, *data]`` and y ``[B, Y]`` to ``[B, out]``; y is concatenated to the flattened x."""

    def __init__(
        self,
        data_size: int,
        hidden: Sequence[int],
        out: int,
        *,
        label_dim: int = 0,
        normalise: bool = False,
        activation: type[nn.Module] = nn.GELU,
    ) -> None:
        super().__init__()
        self.label_dim = label_dim
        self.layers = dense([data_size + label_dim, *hidden, out], activation, normalise=normalise)

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        return self.layers(join(x.flatten(1), y, self.label_dim))


class MLPDecoder(nn.Module):
    """z ``[..., D]`` and y ``[..., Y]`` to ``[..., *out_shape]``; y is concatenated to z.

    Args:
        latent_dim: D.
        hidden: widths between.
        out_shape: of the output.
        label_dim: Y, or 0.
        sines: number of learned sine features of z; 0: z alone.
        normalise: layer normalisation before each activation.
        activation: between the layers.
    """

    def __init__(
        self,
        latent_dim: int,
        hidden: Sequence[int],
        out_shape: Sequence[int],
        *,
        label_dim: int = 0,
        sines: int = 0,
        normalise: bool = False,
        activation: type[nn.Module] = nn.GELU,
    ) -> None:
        super().__init__()
        self.label_dim = label_dim
        self.out_shape = tuple(out_shape)
        self.features = SineFeatures(latent_dim, sines) if sines else nn.Identity()
        sizes = [latent_dim + sines + label_dim, *hidden, torch.Size(out_shape).numel()]
        self.layers = dense(sizes, activation, normalise=normalise)

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        out = self.layers(join(self.features(z), y, self.label_dim))
        return out.unflatten(-1, self.out_shape)


MLP_WIDTH = {"xs": 64, "s": 256, "m": 512, "l": 1024}
FEW_UNITS = 2  # up to so many latent units are a bottleneck, and the mlp is built for one
TABLE_WIDTH = {"xs": 32, "s": 64, "m": 128, "l": 256}
BURDA_WIDTHS = (200, 200)
COURSE_WIDTHS = (400,)


@network(
    "mlp",
    when="any data: fast on a CPU, and hard to beat on small images",
    role="autoencoder",
    order=1,
    settings=Sized,
    safe_units=FEW_UNITS,
)
def mlp(settings: Sized, context: Context, *, outputs: int, out_shape: Sequence[int]) -> Pair:
    """Three layers each way."""
    # measured on MNIST. z = 2: a third encoder layer is worth 2.5 nats, sine features 1, a third decoder layer
    # nothing, and normalisation, residual connections and dropout lose half a nat and more. z = 16: normalisation is
    # worth 4, and sine features make the posterior collapse
    w, few, y = MLP_WIDTH[settings.size], context.latent_dim <= FEW_UNITS, context.label_dim
    return (
        MLPEncoder(context.spec.size, (2 * w, 2 * w, w), outputs, label_dim=y, normalise=not few),
        MLPDecoder(context.latent_dim, (w, w, 2 * w), out_shape, label_dim=y, sines=w if few else 0, normalise=not few),
    )


def _plain(
    context: Context, widths: Sequence[int], activation: type[nn.Module], outputs: int, out: Sequence[int]
) -> Pair:
    y = context.label_dim
    return (
        MLPEncoder(context.spec.size, widths, outputs, label_dim=y, activation=activation),
        MLPDecoder(context.latent_dim, widths, out, label_dim=y, activation=activation),
    )


@network(
    "burda",
    when="two layers of 200 tanh units: the network of Burda et al. 2016, to compare with published likelihoods",
    source="Burda et al. 2016",
    role="autoencoder",
    order=8,
)
def burda(settings: Settings, context: Context, *, outputs: int, out_shape: Sequence[int]) -> Pair:
    """Two layers of 200 tanh units each way."""
    return _plain(context, BURDA_WIDTHS, nn.Tanh, outputs, out_shape)


@network(
    "course-mlp",
    when="the course's fully connected network; for a gan the course's generator and discriminator",
    role="autoencoder",
    order=10,
    as_published=True,
)
def course_mlp(settings: Settings, context: Context, *, outputs: int, out_shape: Sequence[int]) -> Pair:
    """One layer of 400 rectified units each way."""
    return _plain(context, COURSE_WIDTHS, nn.ReLU, outputs, out_shape)


def check_table(config: Any) -> None:
    """A table is a flat variational model."""
    if not SORTS["model"].get(config.model.kind).has("one_level", "rate"):
        goes = " or ".join(repr(kind.name) for kind in SORTS["model"].parts() if kind.has("one_level", "rate"))
        raise ValueError(f"network.kind = 'table' goes with model.kind = {goes}, not with '{config.model.kind}'")


@network(
    "table",
    when="rows of real columns: a small mlp beside a linear map, which starts as factor analysis",
    role="autoencoder",
    order=2,
    settings=Sized,
    safe_units=float("inf"),
    linear_start=True,
    check=check_table,
)
def table(settings: Sized, context: Context, *, outputs: int, out_shape: Sequence[int]) -> Pair:
    """Encoder network from standardised columns to ``outputs`` numbers, decoder network to columns in units of their
    noise; both begin as the linear model of the statistics, where there is one."""
    width, units = TABLE_WIDTH[settings.size], context.latent_dim
    encoder_net = MLPEncoder(context.spec.size, (width, width), outputs, label_dim=context.label_dim)
    decoder_net = MLPDecoder(units, (width, width), context.spec.shape, label_dim=context.label_dim)
    encoder = BesideLinear(encoder_net, context.spec.size, (outputs,))
    decoder = BesideLinear(decoder_net, units, context.spec.shape)
    linear: Linear | None = context.stats.linear
    if linear:
        variance = 1 / (1 + linear.weight.square().sum(0))
        _, scale = data_units(context.spec, context.stats)
        with torch.no_grad():
            for values in (encoder.linear.weight, encoder.linear.bias, decoder.linear.bias):
                values.zero_()
            encoder.linear.weight[:units] = variance[:, None] * (linear.weight * (scale / linear.noise)[:, None]).T
            encoder.linear.bias[units : 2 * units] = variance.log() - start_log_variance(context)
            decoder.linear.weight.copy_(linear.weight)
    return encoder, decoder
