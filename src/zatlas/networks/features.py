"""Features of images in which two of them are compared: the convolutions of a network that was trained to classify."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zatlas.errors import UsageError, ZatlasError

LAYER = re.compile(r"(pool )?(\d+)>(\d+) (\d+)/(\d+)")
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and deviation that torchvision's networks are shown


class Features(NamedTuple):
    """Layout and weights of a :class:`FeatureStack`, and the name that every run keeps of them."""

    name: str
    layout: tuple[str, ...]
    tensors: dict[str, Tensor]


class FeatureStack(nn.Module):
    """Convolutions with ReLU, which are not trained; after each of them images are compared.

    Args:
        layout: one word a convolution, ``"16>32 3/2"``: channels in and out, kernel, stride; ``"pool "`` before it
            where the largest of 2x2 values is taken first.

    >>> FeatureStack(["3>8 5/2", "pool 8>16 3/1"]).distance(torch.zeros(2, 3, 16, 16), torch.zeros(2, 3, 16, 16))
    tensor([0., 0.])
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, layout: Sequence[str]) -> None:
        super().__init__()
        read = [LAYER.fullmatch(word) for word in layout]
        if not layout or not all(read):
            raise UsageError(f"features want a layout such as ['3>16 5/2', '16>32 3/2'], and {list(layout)!r} is none.")
        self.pooled = [bool(match[1]) for match in read if match]
        sizes = [tuple(map(int, match.groups()[1:])) for match in read if match]
        self.strides = [stride for *_, stride in sizes]
        for i, (before, after, kernel, _) in enumerate(sizes):  # buffers: no player moves them
            weight = torch.randn(after, before, kernel, kernel) * (2 / (before * kernel**2)) ** 0.5
            self.register_buffer(f"weight_{i}", weight)
            self.register_buffer(f"bias_{i}", torch.zeros(after))
        self.register_buffer("shift", torch.zeros(sizes[0][0], 1, 1))
        self.register_buffer("scale", torch.ones(sizes[0][0], 1, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Images ``[B, C, H, W]`` in [0, 1] to what is after each convolution."""
        h, found = (x - self.shift) / self.scale, []
        for i, (pooled, stride) in enumerate(zip(self.pooled, self.strides, strict=True)):
            if pooled and min(h.shape[-2:]) > 1:
                h = F.max_pool2d(h, 2)
            weight = self.get_buffer(f"weight_{i}")
            h = F.conv2d(h, weight, self.get_buffer(f"bias_{i}"), stride, weight.shape[-1] // 2).relu()
            found.append(h)
        return found

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        r"""How far images look from one another, ``[B]``, without a unit.

        .. math:: \frac1L \sum_l \frac{1}{h_l w_l} \sum_{ij} |\hat f_l(a)_{ij} - \hat f_l(b)_{ij}|^2

        with features of length one at each place (Zhang et al. 2018, equation 1, each channel weighing the same).
        """
        both = self(torch.cat([a, b]).float())
        found = []
        for features in both:
            # the square is guarded, since the slope of a norm at zero is none
            length = (features.square().sum(1, keepdim=True) + 1e-6).sqrt()
            first, second = (features / length).chunk(2)
            found.append((first - second).square().sum(1).flatten(1).mean(1))
        return torch.stack(found).mean(0)


def of_classifier(tensors: Mapping[str, Tensor], name: str) -> Features:
    """The convolutions of a classifier of ``zatlas classifier``."""
    numbers = sorted(int(key.split(".")[1]) for key in tensors if re.fullmatch(r"body\.\d+\.weight", key))
    convolutions = [number for number in numbers if tensors[f"body.{number}.weight"].dim() == 4]
    layout, found = [], {"shift": tensors["shift"], "scale": tensors["scale"]}
    for i, number in enumerate(convolutions):
        weight = tensors[f"body.{number}.weight"]
        layout.append(f"{weight.shape[1]}>{weight.shape[0]} {weight.shape[2]}/2")
        found |= {f"{part}_{i}": tensors[f"body.{number}.{part}"] for part in ("weight", "bias")}
    return Features(name, tuple(layout), {key: tensor.detach().cpu().float().clone() for key, tensor in found.items()})


def of_vgg(tensors: Mapping[str, Tensor], name: str) -> Features:
    """The convolutions of a VGG (Simonyan & Zisserman 2015) under torchvision's names, ``features.0.weight`` and so on.

    Between two of them lie a ReLU and, where their numbers are three apart, the largest of 2x2.

    Raises:
        ZatlasError: the tensors are those of another network.
    """
    numbers = sorted(int(key.split(".")[1]) for key in tensors if re.fullmatch(r"features\.\d+\.weight", key))
    gaps = [after - before for before, after in itertools.pairwise(numbers)]
    weights = [tensors[f"features.{number}.weight"] for number in numbers]
    sound = bool(weights) and not set(gaps) - {2, 3} and all(w.dim() == 4 and w.shape[2:] == (3, 3) for w in weights)
    fits = sound and all(a.shape[0] == b.shape[1] for a, b in itertools.pairwise(weights))
    if not fits or weights[0].shape[1] != 3 or any(f"features.{number}.bias" not in tensors for number in numbers):
        raise ZatlasError(
            f"{name} holds no features: give a file of `zatlas classifier --out`, or weights of a VGG without batch "
            "normalisation under torchvision's names."
        )
    layout: list[str] = []
    found: dict[str, Tensor] = {}
    for i, (number, weight, gap) in enumerate(zip(numbers, weights, [2, *gaps], strict=True)):
        layout.append(f"{'pool ' if gap == 3 else ''}{weight.shape[1]}>{weight.shape[0]} 3/1")
        found |= {f"weight_{i}": weight, f"bias_{i}": tensors[f"features.{number}.bias"]}
    found["shift"], found["scale"] = (torch.tensor(values).view(3, 1, 1) for values in IMAGENET)
    return Features(name, tuple(layout), {key: tensor.detach().float().clone() for key, tensor in found.items()})


class PatchCritic(nn.Module):
    """Images ``[B, C, H, W]`` to a map ``[B, 1, h, w]``: how real each patch looks (Isola et al. 2017, section 3.2.2).

    Args:
        shape: ``(C, H, W)``.
        width: channels of the first convolution; each further one doubles them.
        most: strided convolutions at the utmost; fewer where the image is small.
    """

    def __init__(self, shape: Sequence[int], width: int = 32, most: int = 3) -> None:
        super().__init__()
        count = max(1, min(most, (min(shape[1:]) // 4).bit_length()))
        layers: list[nn.Module] = []
        before, after = shape[0], width
        for i in range(count):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1)]
            layers += [nn.GroupNorm(max(1, after // 8), after)] if i else []
            layers += [nn.LeakyReLU(0.2)]
            before, after = after, 2 * after
        self.layers = nn.Sequential(*layers, nn.Conv2d(before, 1, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(2 * x - 1)
