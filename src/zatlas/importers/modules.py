"""Any pair of Python modules, an encoder and a decoder, as a run that holds no code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from zatlas.errors import UsageError, nearest
from zatlas.importers.foreign import Foreign, data_shape, deinterleaved
from zatlas.importers.writing import write_run
from zatlas.networks.tracing import trace
from zatlas.runs.opened import Run
from zatlas.types import DataSpec

Head = Literal["mean-logvar", "interleaved", "tuple", "mean"]
Output = Literal["logits", "mean"]
HEADS = ("mean-logvar", "interleaved", "tuple", "mean")
OUTPUTS = ("logits", "mean")
EDGE = 1e-7  # as near to 0 and 1 as a float32 can say that it is near to 1


class _Head(nn.Module):
    """An encoder with its outputs side by side: means, then log-variances."""

    def __init__(self, encoder: nn.Module, head: Head, latent_dim: int) -> None:
        super().__init__()
        self.encoder, self.head, self.latent_dim = encoder, head, latent_dim

    def forward(self, x: Tensor) -> Tensor:
        out = self.encoder(x)
        if self.head == "tuple":
            out = torch.cat([out[0].flatten(1), out[1].flatten(1)], 1)
        out = out.flatten(1)
        wanted = self.latent_dim if self.head == "mean" else 2 * self.latent_dim
        if out.shape[1] != wanted:
            raise UsageError(f"it gives {out.shape[1]} numbers an example where {wanted} are wanted")
        return deinterleaved(out.T).T if self.head == "interleaved" else out


class _Logits(nn.Module):
    """A decoder with the outputs that the likelihood wants, in the shape of the data."""

    def __init__(self, decoder: nn.Module, to_logits: bool, shape: Sequence[int]) -> None:
        super().__init__()
        self.decoder, self.to_logits, self.shape = decoder, to_logits, tuple(shape)

    def forward(self, z: Tensor) -> Tensor:
        out = self.decoder(z).flatten(1)
        size = torch.Size(self.shape).numel()
        if out.shape[1] != size:
            raise UsageError(f"it gives {out.shape[1]} numbers an example where {size} are wanted")
        out = out.unflatten(1, self.shape)
        return torch.logit(out, eps=EDGE) if self.to_logits else out


def from_modules(
    encoder: nn.Module,
    decoder: nn.Module,
    *,
    shape: Sequence[int],
    latent_dim: int,
    head: Head = "mean-logvar",
    output: Output = "logits",
    values: Literal["unit", "real"] = "unit",
    sigma: float = 1.0,
    out: str | Path | None = None,
    data: str | None = None,
) -> Run:
    """A run made of an encoder x -> q(z|x) and a decoder z -> p(x|z), as trained by any program.

    Both are traced (:mod:`zatlas.networks.tracing`), as they evaluate and for any number of examples; what is kept is
    a graph of core operators and its tensors, so that the run is opened without their code. What comes before or after
    a module, such as scaling x to [-1, 1], belongs into it: wrap it in a module that does that first.

    Args:
        encoder: ``[B, *shape]`` to what ``head`` says.
        decoder: ``[B, D]`` to ``[B, *shape]``, or the same numbers flattened.
        shape: of one example, ``(C, H, W)`` or ``(features,)``.
        latent_dim: D.
        head: of the encoder. ``"mean-logvar"``: ``[B, 2 D]``, all means first; ``"interleaved"``: ``[B, 2 D]``, mean
            and log-variance of each unit in turn; ``"tuple"``: (mean, log-variance), each ``[B, D]``; ``"mean"``:
            ``[B, D]`` and no variance, an autoencoder's.
        output: of the decoder, where values are in [0, 1]: ``"logits"``, or ``"mean"`` after its sigmoid.
        values: ``"unit"``, in [0, 1] with a Bernoulli likelihood; ``"real"``, Gaussian, the output its mean.
        sigma: standard deviation of that Gaussian.
        out: the run folder; None: a free name under ``runs/``.
        data: the user's own data, by name or path.

    Raises:
        UsageError: a module that fails on such examples, gives other shapes, or cannot be traced.
        ZatlasError: a graph that does not give what its module gives, or weights that are not finite.

    >>> import tempfile
    >>> linear = torch.nn.Linear
    >>> run = from_modules(linear(4, 4), linear(2, 4), shape=(4,), latent_dim=2, out=tempfile.mkdtemp())
    >>> run.sample(3)[0].mean.shape
    (3, 4)
    """
    for word, known, name in ((head, HEADS, "head"), (output, OUTPUTS, "output"), (values, ("unit", "real"), "values")):
        if word not in known:
            raise UsageError(f"{name} cannot be {word!r}; {nearest(word, known)}")
    shape = data_shape(shape, "shape")
    to_logits = values == "unit" and output == "mean"
    from_encoder, encoding = trace(_Head(encoder, head, latent_dim), shape, "encoder")
    from_decoder, decoding = trace(_Logits(decoder, to_logits, shape), (latent_dim,), "decoder")
    tensors = {f"encoder.net.{name}": tensor for name, tensor in encoding.items()}
    tensors |= {f"decoder.net.{name}": tensor for name, tensor in decoding.items()}
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise UsageError(f"{name} holds NaN or infinity.")
    model = {
        "kind": "ae" if head == "mean" else "vae",
        "network": "exported",
        "latent_dim": latent_dim,
        "encoder_graph": from_encoder,
        "decoder_graph": from_decoder,
        **({"sigma": sigma} if values == "real" else {}),
    }
    found = Foreign(model, DataSpec(shape, values), tensors, {})
    classes = [type(module).__name__ for module in (encoder, decoder)]
    origin = {"format": "modules", "encoder": classes[0], "decoder": classes[1]}
    return write_run(found, origin=origin, name=classes[0].lower(), out=Path(out) if out else None, data=data)
