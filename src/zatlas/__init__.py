"""zatlas, an atlas of z: fit latent-variable generative models, know how good they are, walk their latent space."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zatlas.errors import UsageError, ZatlasError
    from zatlas.estimators import VAE, AutoEncoder, ConditionalVAE, load

__version__ = version("zatlas")

# Looked up when first used, so that `import zatlas` and `zatlas --help` do not wait for torch.
_HOMES = {
    "AutoEncoder": "zatlas.estimators",
    "ConditionalVAE": "zatlas.estimators",
    "UsageError": "zatlas.errors",
    "VAE": "zatlas.estimators",
    "ZatlasError": "zatlas.errors",
    "load": "zatlas.estimators",
}

__all__ = ["VAE", "AutoEncoder", "ConditionalVAE", "UsageError", "ZatlasError", "load"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'zatlas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
