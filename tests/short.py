"""Fits of flow matching of which little is said, as that costs more than a short fit itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from zatlas.latent import matched_flow, matching


@contextmanager
def few_measured(**others: object) -> Iterator[None]:
    """Measures with few draws and steps; ``others`` are set in :mod:`zatlas.latent.matching` as well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "MEASURED", (2, 4))
        patch.setattr(matching, "LOOKS", 100)
        patch.setattr(matched_flow, "DENSITY_STEPS", 4)
        for name, value in others.items():
            patch.setattr(matching, name, value)
        yield
