"""Weights of 1Konny/Beta-VAE: both its networks, for 64x64 images."""

from __future__ import annotations

from zatlas.importers.foreign import Foreign, layers, renamed, size_along
from zatlas.importers.reading import Tensors
from zatlas.parts import importer
from zatlas.types import DataSpec


@importer("beta-vae-1konny", when="weights of 1Konny/Beta-VAE, both networks")
def read(tensors: Tensors) -> Foreign:
    """The model in the state_dict of 1Konny/Beta-VAE, which its checkpoints keep as ``model_states.net``.

    BetaVAE_H has five convolutions before its one linear layer, BetaVAE_B four before three. Means come before
    log-variances, and the decoder ends in logits.

    Raises:
        ZatlasError: the tensors are those of another model.
    """
    channels = size_along(tensors, "encoder.0.weight", 1, 4)
    latent_dim = size_along(tensors, "decoder.0.weight", 1, 2)
    spec = DataSpec((channels, 64, 64), "unit")
    if "encoder.8.weight" in tensors:
        model = {"network": "konny-h", "latent_dim": latent_dim}
        theirs = {
            **layers("encoder.net.convolutions", _numbered("encoder", range(0, 10, 2)), range(0, 10, 2)),
            **{f"encoder.net.out.{part}": f"encoder.11.{part}" for part in ("weight", "bias")},
            **{f"decoder.net.first.{part}": f"decoder.0.{part}" for part in ("weight", "bias")},
            **layers("decoder.net.convolutions", _numbered("decoder", range(3, 13, 2)), range(1, 11, 2)),
        }
    else:
        model = {"network": "konny-b", "latent_dim": latent_dim}
        theirs = {
            **layers("encoder.net.convolutions", _numbered("encoder", range(0, 8, 2)), range(0, 8, 2)),
            **layers("encoder.net.hidden", _numbered("encoder", (9, 11)), (0, 2)),
            **{f"encoder.net.out.{part}": f"encoder.13.{part}" for part in ("weight", "bias")},
            **layers("decoder.net.hidden", _numbered("decoder", (0, 2, 4)), (0, 2, 4)),
            **layers("decoder.net.convolutions", _numbered("decoder", range(7, 15, 2)), range(0, 8, 2)),
        }
    return Foreign(model, spec, renamed(tensors, theirs), theirs)


def _numbered(prefix: str, numbers: range | tuple[int, ...]) -> list[str]:
    return [f"{prefix}.{number}" for number in numbers]
