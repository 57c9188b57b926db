"""Weights of disentangling-vae: the Burgess architecture for 32x32 and 64x64 images."""

from __future__ import annotations

from zatlas.importers.foreign import Foreign, deinterleaved, layers, renamed, size_along
from zatlas.importers.reading import Tensors
from zatlas.parts import importer
from zatlas.types import DataSpec

HEAD = "encoder.net.out"


@importer("disvae", when="weights of disentangling-vae")
def read(tensors: Tensors) -> Foreign:
    """The model in a state_dict of disentangling-vae.

    Its last encoder layer gives mean and log-variance of each unit in turn; a fourth convolution, conv_64, is there
    for 64x64 images. The decoder's sigmoid is the Bernoulli likelihood's.

    Raises:
        ZatlasError: the tensors are those of another model.
    """
    big = "encoder.conv_64.weight" in tensors
    channels = size_along(tensors, "encoder.conv1.weight", 1, 4)
    latent_dim = size_along(tensors, "decoder.lin1.weight", 1, 2)
    before = ["conv1", "conv2", "conv3", *(["conv_64"] if big else [])]
    after = [*(["convT_64"] if big else []), "convT1", "convT2", "convT3"]
    theirs = {
        **layers("encoder.net.convolutions", [f"encoder.{name}" for name in before], range(0, 2 * len(before), 2)),
        **layers("encoder.net.hidden", ["encoder.lin1", "encoder.lin2"], (0, 2)),
        **{f"{HEAD}.{part}": f"encoder.mu_logvar_gen.{part}" for part in ("weight", "bias")},
        **layers("decoder.net.hidden", [f"decoder.lin{i}" for i in (1, 2, 3)], (0, 2, 4)),
        **layers("decoder.net.convolutions", [f"decoder.{name}" for name in after], range(0, 2 * len(after), 2)),
    }
    ours = renamed(tensors, theirs)
    ours |= {name: deinterleaved(rows) for name, rows in ours.items() if name.startswith(HEAD)}
    size = 64 if big else 32
    model = {"network": "burgess", "latent_dim": latent_dim}
    return Foreign(model, DataSpec((channels, size, size), "unit"), ours, theirs)
