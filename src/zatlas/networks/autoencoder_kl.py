"""The autoencoder of latent diffusion models, in the layout in which its weights are published.

An encoder and a decoder of residual blocks at falling sizes, with attention in the middle (Rombach et al. 2022, section
3.1, appendix G; Esser et al. 2021, table 7). Modules are called as in the files of the diffusers library, whose
``AutoencoderKL`` and ``VQModel`` they stand for, so that tensors map one to one; images in [0, 1] are shown to them in
[-1, 1], as they were trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from zatlas.networks.declaring import Pair, Sized, need_images
from zatlas.networks.spatial import CodeShape, need_diagonal, need_factor
from zatlas.networks.starting import START_LOG_VARIANCE
from zatlas.parts import SORTS, Context, Settings, network
from zatlas.types import DataSpec

EPSILON = 1e-6


class DiffusersSettings(Settings):
    """The keys of config.json that say how the networks are built; from nothing, a small one of factor 4."""

    block_out_channels: tuple[int, ...] = Field(
        (32, 64, 64), min_length=1, max_length=8, description="at each size; every one after the first halves it"
    )
    layers_per_block: int = Field(1, ge=1, le=16, description="residual blocks at each size; one more in the decoder")
    latent_channels: int = Field(4, ge=1, le=4096, description="of the code")
    norm_num_groups: int = Field(8, ge=1, le=1024, description="of every group normalisation; divides all channels")
    mid_block_add_attention: bool = Field(True, description="attention over all places at the smallest size")

    @model_validator(mode="after")
    def _divides(self) -> DiffusersSettings:
        for channels in self.block_out_channels:
            if channels < 1 or channels % self.norm_num_groups:
                raise ValueError(
                    f"network.norm_num_groups = {self.norm_num_groups} must divide every one of "
                    f"network.block_out_channels, and {channels} it does not"
                )
        return self

    @property
    def factor(self) -> int:
        """Height and width of the image over those of the code."""
        return int(2 ** (len(self.block_out_channels) - 1))


class KLSettings(DiffusersSettings):
    """Those of ``AutoencoderKL``."""

    use_quant_conv: bool = Field(True, description="a 1x1 convolution after the encoder")
    use_post_quant_conv: bool = Field(True, description="a 1x1 convolution before the decoder")
    scaling_factor: float = Field(0.18215, gt=0, description="what a diffusion model multiplies codes by; kept for it")
    shift_factor: float | None = Field(None, description="what a diffusion model subtracts from codes; kept for it")


class ResnetBlock(nn.Module):
    """x + f(x), f being twice group normalisation, SiLU and a 3x3 convolution; x by a 1x1 one where widths differ."""

    def __init__(self, before: int, after: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, before, eps=EPSILON)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, after, eps=EPSILON)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(before, after, 1) if before != after else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class Attention(nn.Module):
    """x + one head of attention among all places of ``[B, C, h, w]``."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, channels, eps=EPSILON)
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        h = self.group_norm(x).flatten(2).transpose(1, 2)
        query, key, value = self.to_q(h), self.to_k(h), self.to_v(h)
        # spelt out, since torch cannot stack its fused attention on the CPU
        scores = (query @ key.transpose(1, 2)) * query.shape[-1] ** -0.5
        h = self.to_out[0](scores.float().softmax(-1).to(value.dtype) @ value)
        return x + h.transpose(1, 2).reshape(x.shape)


class MidBlock(nn.Module):
    """A residual block, attention, a residual block."""

    def __init__(self, channels: int, settings: DiffusersSettings) -> None:
        super().__init__()
        groups = settings.norm_num_groups
        self.attentions = nn.ModuleList([Attention(channels, groups)] if settings.mid_block_add_attention else [])
        self.resnets = nn.ModuleList(ResnetBlock(channels, channels, groups) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.resnets[0](x)
        for attention in self.attentions:
            x = attention(x)
        return self.resnets[1](x)


class Resized(nn.Module):
    """A 3x3 convolution that halves or doubles height and width.

    Halving, one row and one column of zeros are laid on at the far edges alone; doubling, pixels are repeated first.
    """

    def __init__(self, channels: int, *, up: bool) -> None:
        super().__init__()
        self.up = up
        self.conv = nn.Conv2d(channels, channels, 3, padding=1) if up else nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0) if self.up else F.pad(x, (0, 1, 0, 1)))


class Stage(nn.Module):
    """Residual blocks at one size, and what leads to the next one."""

    def __init__(self, before: int, after: int, layers: int, groups: int, *, up: bool, last: bool) -> None:
        super().__init__()
        widths = pairwise([before, *[after] * layers])
        self.resnets = nn.ModuleList(ResnetBlock(a, b, groups) for a, b in widths)
        resized = [] if last else [Resized(after, up=up)]
        if up:
            self.upsamplers = nn.ModuleList(resized)
        else:
            self.downsamplers = nn.ModuleList(resized)
        self.up = up

    def forward(self, x: Tensor) -> Tensor:
        for block in (*self.resnets, *(self.upsamplers if self.up else self.downsamplers)):
            x = block(x)
        return x


class Down(nn.Module):
    """Images ``[B, C, H, W]`` to maps ``[B, outputs, h, w]``."""

    def __init__(self, channels: int, outputs: int, settings: DiffusersSettings) -> None:
        super().__init__()
        widths, groups, layers = settings.block_out_channels, settings.norm_num_groups, settings.layers_per_block
        self.conv_in = nn.Conv2d(channels, widths[0], 3, padding=1)
        pairs = list(pairwise([widths[0], *widths]))
        self.down_blocks = nn.ModuleList(
            Stage(a, b, layers, groups, up=False, last=i == len(pairs) - 1) for i, (a, b) in enumerate(pairs)
        )
        self.mid_block = MidBlock(widths[-1], settings)
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], eps=EPSILON)
        self.conv_out = nn.Conv2d(widths[-1], outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(x)
        for stage in self.down_blocks:
            h = stage(h)
        return self.conv_out(F.silu(self.conv_norm_out(self.mid_block(h))))


class Up(nn.Module):
    """Maps ``[B, inputs, h, w]`` to images ``[B, C, H, W]``."""

    def __init__(self, inputs: int, channels: int, settings: DiffusersSettings) -> None:
        super().__init__()
        widths, groups, layers = settings.block_out_channels[::-1], settings.norm_num_groups, settings.layers_per_block
        self.conv_in = nn.Conv2d(inputs, widths[0], 3, padding=1)
        self.mid_block = MidBlock(widths[0], settings)
        pairs = list(pairwise([widths[0], *widths]))
        self.up_blocks = nn.ModuleList(
            Stage(a, b, layers + 1, groups, up=True, last=i == len(pairs) - 1) for i, (a, b) in enumerate(pairs)
        )
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], eps=EPSILON)
        self.conv_out = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        h = self.mid_block(self.conv_in(z))
        for stage in self.up_blocks:
            h = stage(h)
        return self.conv_out(F.silu(self.conv_norm_out(h)))


class LatentDiffusionEncoder(nn.Module):
    """x ``[B, C, H, W]`` in [0, 1] to maps, ``[B, outputs h w]``; by places first, ``[B, h w outputs]``, for codewords.

    Args:
        channels: of the image.
        outputs: channels of what is said.
        inner: channels of the encoder before the 1x1 convolution.
        settings: of the layout.
        quantised: whether ``quant_conv`` is there.
        by_place: the numbers of one place lie side by side.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        inner: int,
        settings: DiffusersSettings,
        *,
        quantised: bool = True,
        by_place: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = Down(channels, inner, settings)
        self.quant_conv = nn.Conv2d(inner, outputs, 1) if quantised else None
        self.by_place = by_place

    @property
    def last(self) -> nn.Conv2d:
        """The layer that says mean and log-variance."""
        return self.encoder.conv_out if self.quant_conv is None else self.quant_conv

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        h = self.encoder(2 * x - 1)
        h = (h if self.quant_conv is None else self.quant_conv(h)).flatten(2)
        return (h.transpose(1, 2) if self.by_place else h).flatten(1)


class LatentDiffusionDecoder(nn.Module):
    """The mirror of :class:`LatentDiffusionEncoder`: z ``[..., D]`` to ``[..., *out_shape]``, an image in [0, 1].

    Where the likelihood wants more numbers than the image has, the image comes first.

    Args:
        code: ``(C, h, w)``.
        inner: channels of the decoder after the 1x1 convolution.
        outputs: channels of what is said.
        settings: of the layout.
        quantised: whether ``post_quant_conv`` is there.
        by_place: as the encoder's.
    """

    def __init__(
        self,
        code: CodeShape,
        inner: int,
        outputs: int,
        settings: DiffusersSettings,
        *,
        quantised: bool = True,
        by_place: bool = False,
    ) -> None:
        super().__init__()
        self.code, self.by_place = code, by_place
        self.post_quant_conv = nn.Conv2d(code[0], inner, 1) if quantised else None
        self.decoder = Up(inner, outputs, settings)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        channels, height, width = self.code
        if self.by_place:
            maps = z.reshape(-1, height * width, channels).transpose(1, 2).unflatten(2, (height, width))
        else:
            maps = z.reshape(-1, *self.code)
        out = self.decoder(maps if self.post_quant_conv is None else self.post_quant_conv(maps))
        return (0.5 * out + 0.5).reshape(*z.shape[:-1], *out.shape[1:])


def code_shape(settings: Settings, spec: DataSpec) -> CodeShape:
    """[C, h, w] of the code of images of that size."""
    assert isinstance(settings, KLSettings)
    size = need_factor(spec, "autoencoder-kl", settings.factor, "number of network.block_out_channels")
    return (settings.latent_channels, *size)


def check_kl(config: Any) -> None:
    """Means and log-variances at each place, of no labels, and p(x|z) of one number for each value of the image."""
    need_diagonal(config, "autoencoder-kl")
    if SORTS["model"].get(config.model.kind).conditional:
        raise ValueError(
            "network.kind = 'autoencoder-kl' takes no labels: choose model.kind = 'vae' or 'ae', or spatial"
        )
    check_likelihood(config, "autoencoder-kl")


def check_likelihood(config: Any, name: str) -> None:
    """The decoder says the image itself.

    Raises:
        ValueError: the likelihood is one of logits or of several numbers.
    """
    if config.likelihood is not None and config.likelihood.kind not in ("auto", *DIRECT):
        raise ValueError(
            f"network.kind = '{name}' says the image itself: it goes with likelihood.kind = "
            f"{' or '.join(map(repr, DIRECT))}, not with '{config.likelihood.kind}'"
        )


DIRECT = ("gaussian-learned", "gaussian")


@network(
    "autoencoder-kl",
    when="the autoencoder of latent diffusion models, whose published weights come in (zatlas import --from diffusers) "
    "and go out (zatlas export --diffusers)",
    source="Rombach et al. 2022, section 3.1",
    role="autoencoder",
    order=6,
    settings=KLSettings,
    code_shape=code_shape,
    check=check_kl,
    as_published=True,
    likelihood="gaussian-learned",
)
def autoencoder_kl(settings: KLSettings, context: Context, *, outputs: int, out_shape: Sequence[int]) -> Pair:
    """Encoder and decoder in the layout of ``AutoencoderKL``."""
    code = code_shape(settings, context.spec)
    said = 2 * code[0]  # of an autoencoder the log-variances are there and are not used
    encoder = KLEncoder(context.spec.shape[0], said, said, settings, quantised=settings.use_quant_conv)
    encoder.point = context.model.point
    with torch.no_grad():  # narrow at the start, as everywhere in zatlas; weights that are read replace it
        assert encoder.last.bias is not None
        encoder.last.bias[code[0] :] = START_LOG_VARIANCE
    decoder = LatentDiffusionDecoder(code, code[0], out_shape[0], settings, quantised=settings.use_post_quant_conv)
    return encoder, decoder


class KLEncoder(LatentDiffusionEncoder):
    """Means and then log-variances; of an autoencoder the means alone."""

    point = False

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        out = super().forward(x, y)
        return out.chunk(2, -1)[0] if self.point else out


class VQSettings(Sized, DiffusersSettings):
    """Those of ``VQModel``; the size is that of the prior over codewords."""


@network(
    "vq-model",
    when="the quantised autoencoder of latent diffusion models (VQModel), its weights in and out as autoencoder-kl's",
    source="Esser et al. 2021; Rombach et al. 2022, section 3.1",
    role="quantised",
    order=6,
    settings=VQSettings,
    check=lambda config: check_likelihood(config, "vq-model"),
    as_published=True,
    likelihood="gaussian-learned",
)
def vq_model(settings: VQSettings, context: Context, *, out_shape: Sequence[int]) -> tuple[nn.Module, nn.Module, int]:
    """Encoder, decoder and the number of codes."""
    need_images(context.spec, "vq-model")
    height, width = need_factor(context.spec, "vq-model", settings.factor, "number of network.block_out_channels")
    dim, inner = context.config.model.code_dim, settings.latent_channels
    encoder = LatentDiffusionEncoder(context.spec.shape[0], dim, inner, settings, by_place=True)
    decoder = LatentDiffusionDecoder((dim, height, width), inner, out_shape[0], settings, by_place=True)
    return encoder, decoder, height * width
