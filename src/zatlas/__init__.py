"""zatlas, an atlas of z: fit latent-variable generative models, know how good they are, walk their latent space."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zatlas import export, walks
    from zatlas.errors import UsageError, ZatlasError
    from zatlas.estimators import (
        GAN,
        VAE,
        VQVAE,
        AutoEncoder,
        ConditionalGAN,
        ConditionalVAE,
        FactorAnalysis,
        LadderVAE,
        ProbabilisticPCA,
        load,
    )
    from zatlas.runs.opened import Run as open
    from zatlas.runs.start import train
    from zatlas.studies.start import study

    __version__: str

# OpenMP's threads that wait by spinning keep their cores from the very thread they wait for where others run too: two
# of them then trained the mlp on MNIST 7 to 20 times slower than one, and 1.1 to 1.8 times when they sleep. But waking
# one takes longer than many a product, and on an idle machine two that sleep at once were no faster than one; when they
# look so many times (0.1 ms) before, they are 1.5 times as fast, and on a busy one up to 1.7 times slower than asleep.
# No result depends on it. Once torch is loaded it is too late, and whoever has set it keeps their choice.
if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")

__all__ = [
    "GAN",
    "VAE",
    "VQVAE",
    "AutoEncoder",
    "ConditionalGAN",
    "ConditionalVAE",
    "FactorAnalysis",
    "LadderVAE",
    "ProbabilisticPCA",
    "UsageError",
    "ZatlasError",
    "export",
    "load",
    "open",
    "study",
    "train",
    "walks",
]


_ELSEWHERE = {
    "UsageError": "zatlas.errors",
    "ZatlasError": "zatlas.errors",
    "open": "zatlas.runs.opened:Run",
    "study": "zatlas.studies.start",
    "train": "zatlas.runs.start",
}


def __getattr__(name: str) -> Any:
    # looked up when first used, so that `import zatlas` and `zatlas --help` do not wait for torch
    if name == "__version__":
        from importlib.metadata import version  # which takes as long to import as the rest of `zatlas --help` to run

        return version("zatlas")
    if name in ("export", "walks"):
        return import_module(f"zatlas.{name}")
    if name in __all__:
        module, _, other = _ELSEWHERE.get(name, "zatlas.estimators").partition(":")
        return getattr(import_module(module), other or name)
    raise AttributeError(f"module 'zatlas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
