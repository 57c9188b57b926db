"""The networks of a much-taught course notebook, exactly, so that its published figures can be met.

Conv 1→32→64 (kernel 3, stride 2, padding 1), Linear 3136→16, and the transposed mirror. In the conditional form a
linear map of y is added to the first convolution's output, and the decoder starts from W_z z + W_y y + b.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from zatlas.errors import UsageError
from zatlas.networks.declaring import Pair, need_images
from zatlas.networks.layout import Conv2d, ConvTranspose2d
from zatlas.parts import Context, Settings, network

SHAPE = (1, 28, 28)


class CourseConvEncoder(nn.Module):
    """x ``[B, 1, 28, 28]`` and y ``[B, Y]`` to ``[B, out]``."""

    def __init__(self, out: int, *, label_dim: int = 0) -> None:
        super().__init__()
        self.first = Conv2d(1, 32, 3, stride=2, padding=1)
        self.labels = nn.Linear(label_dim, 32 * 14 * 14) if label_dim else None
        self.second = Conv2d(32, 64, 3, stride=2, padding=1)
        self.hidden = nn.Linear(64 * 7 * 7, 16)
        self.out = nn.Linear(16, out)

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        h = self.first(x)
        if self.labels is not None and y is not None:
            h = h + self.labels(y).unflatten(-1, (32, 14, 14))
        h = self.second(h.relu()).relu()
        return self.out(self.hidden(h.flatten(1)).relu())


class CourseConvDecoder(nn.Module):
    """z ``[..., D]`` and y ``[..., Y]`` to ``[..., parameters, 28, 28]``."""

    def __init__(self, latent_dim: int, *, parameters: int = 1, label_dim: int = 0) -> None:
        super().__init__()
        self.first = nn.Linear(latent_dim, 64 * 7 * 7)
        self.labels = nn.Linear(label_dim, 64 * 7 * 7, bias=False) if label_dim else None
        self.second = ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1)
        self.third = ConvTranspose2d(32, parameters, 3, stride=2, padding=1, output_padding=1)

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        h = self.first(z)
        if self.labels is not None and y is not None:
            h = h + self.labels(y)
        leading = h.shape[:-1]
        h = self.second(h.relu().reshape(-1, 64, 7, 7)).relu()
        return self.third(h).contiguous().reshape(*leading, -1, *SHAPE[1:])


@network(
    "course-conv",
    when="28x28 grey images: the course notebook's convolutional network",
    role="autoencoder",
    order=9,
    as_published=True,
)
def course_conv(settings: Settings, context: Context, *, outputs: int, out_shape: Sequence[int]) -> Pair:
    """The notebook's pair."""
    need_images(context.spec, "course-conv")
    if context.spec.shape != SHAPE:
        found = "x".join(map(str, context.spec.shape))
        raise UsageError(
            f"the course-conv network is made for 1x28x28 images and these are {found}: "
            "choose conv, or resize with --resize 28 --channels 1."
        )
    return (
        CourseConvEncoder(outputs, label_dim=context.label_dim),
        CourseConvDecoder(context.latent_dim, parameters=out_shape[0], label_dim=context.label_dim),
    )
