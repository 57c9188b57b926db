"""Modules that know nothing of zatlas, as the encoder and the decoder of its models."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from zatlas.errors import UsageError
from zatlas.networks.declaring import Pair
from zatlas.parts import Context, Settings, network
from zatlas.trust import imported

Head = Literal["mean-logvar", "interleaved", "tuple", "mean"]
Output = Literal["logits", "mean"]
EDGE = 1e-7  # as near to 0 and 1 as a float32 can say that it is near to 1


def takes_labels(module: nn.Module) -> bool:
    """Whether its forward has a place for y after x or z."""
    places = [
        one
        for one in inspect.signature(module.forward).parameters.values()
        if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD, one.VAR_POSITIONAL)
    ]
    return len(places) > 1 or any(one.kind is one.VAR_POSITIONAL for one in places)


def ends_in_sigmoid(module: nn.Module) -> bool:
    """Whether the last of its layers is a sigmoid, so that it gives means in [0, 1] and no logits."""
    leaves = [layer for layer in module.modules() if not list(layer.children())]
    return bool(leaves) and isinstance(leaves[-1], nn.Sigmoid)


class ForeignEncoder(nn.Module):
    """x ``[..., *data]`` to means and then log-variances, ``[..., 2 D]``, or to means alone.

    Args:
        module: x ``[B, *data]``, and y where it has a place for it, to what ``head`` says.
        event_dims: dimensions of one example.
        head: ``"mean-logvar"``: ``[B, 2 D]``, all means first; ``"interleaved"``: mean and log-variance of each unit in
            turn; ``"tuple"``: (mean, log-variance), ``[B, D]`` each; ``"mean"``: ``[B, D]``.
        outputs: how many numbers are wanted.
    """

    def __init__(self, module: nn.Module, event_dims: int, head: Head, outputs: int) -> None:
        super().__init__()
        self.module, self.event_dims, self.head, self.outputs = module, event_dims, head, outputs
        self.labels = takes_labels(module)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        lead, event = x.shape[: -self.event_dims], x.shape[-self.event_dims :]
        out = _called(self.module, x.reshape(-1, *event), y, lead, self.labels)
        if self.head == "tuple":
            out = torch.cat([out[0].flatten(1), out[1].flatten(1)], 1)
        out = out.flatten(1)
        if out.shape[1] != self.outputs:
            raise UsageError(
                f"the encoder gives {out.shape[1]} numbers an example where {self.outputs} are wanted: mean and "
                "log-variance of each latent unit for a vae, the unit alone for an ae."
            )
        if self.head == "interleaved":
            out = torch.cat([out[:, 0::2], out[:, 1::2]], 1)
        return out.reshape(*lead, self.outputs)


class ForeignDecoder(nn.Module):
    """z ``[..., D]`` to the parameters of p(x|z), ``[..., *out_shape]``.

    Args:
        module: z ``[B, D]``, and y where it has a place for it, to ``[B, *out_shape]`` or the same numbers flattened.
        out_shape: of one example's parameters.
        output: ``"mean"``: the module ends in a sigmoid, and the likelihood wants its logits.
    """

    def __init__(self, module: nn.Module, out_shape: Sequence[int], output: Output) -> None:
        super().__init__()
        self.module, self.out_shape, self.output = module, tuple(out_shape), output
        self.labels = takes_labels(module)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        lead = z.shape[:-1]
        out = _called(self.module, z.reshape(-1, z.shape[-1]), y, lead, self.labels).flatten(1)
        size = torch.Size(self.out_shape).numel()
        if out.shape[1] != size:
            raise UsageError(f"the decoder gives {out.shape[1]} numbers an example where {size} are wanted.")
        out = out.reshape(*lead, *self.out_shape)
        return torch.logit(out, eps=EDGE) if self.output == "mean" else out


def _called(module: nn.Module, x: Tensor, y: Tensor | None, lead: Sequence[int], labels: bool) -> Any:
    if y is None or not labels:
        return module(x)
    return module(x, y.expand(*lead, y.shape[-1]).reshape(-1, y.shape[-1]))


class Modules(Settings):
    """The settings of a pair of modules that were given as objects."""

    encoder: str = Field("", description="its place, package.module:Class")
    decoder: str = Field("", description="its place, package.module:Class")
    head: Head = Field("mean-logvar", description="of the encoder's numbers")
    output: Output = Field("logits", description="of the decoder: logits, or means after a sigmoid")


@network(
    "modules",
    when="a pair of PyTorch modules of yours that cannot be written down as a graph: zatlas.train(encoder=, decoder=)",
    role="autoencoder",
    order=12,
    settings=Modules,
    as_published=True,
)
def modules(settings: Modules, context: Context, *, outputs: int, out_shape: Sequence[int]) -> Pair:
    """The modules that were given; else their classes, called without arguments."""
    encoder, decoder = context.given.get("network") or (_made(settings.encoder), _made(settings.decoder))
    return (
        ForeignEncoder(encoder, len(context.spec.shape), settings.head, outputs),
        ForeignDecoder(decoder, out_shape, settings.output),
    )


def _made(place: str) -> nn.Module:
    """A module from its class.

    Raises:
        UsageError: the class wants arguments, or cannot be imported.
    """
    mend = "give it to zatlas.open(RUN, encoder=…, decoder=…), as it was made for the training"
    if place.startswith("torch."):  # such as Sequential, which says nothing of what was in it
        raise UsageError(f"the run does not hold its module {place}: {mend}.")
    target = imported(place, f"network {place!r}")
    if not isinstance(target, type) or not issubclass(target, nn.Module):  # before it is called
        raise UsageError(f"{place} is no class of torch modules: {mend}.")
    try:
        made = target()
    except TypeError as error:
        raise UsageError(
            f"the run does not hold its module {place}, which is not made without arguments ({error}): {mend}."
        ) from None
    return made
