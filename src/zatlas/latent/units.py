"""How units are called."""

from __future__ import annotations

from collections.abc import Sequence


def unit_names(latent_dims: Sequence[int]) -> list[str]:
    """Names of the units of a code: by number, and by level and number where there are several levels, top first.

    >>> unit_names([3]), unit_names([1, 2])
    (['z1', 'z2', 'z3'], ['z1.1', 'z2.1', 'z2.2'])
    """
    if len(latent_dims) == 1:
        return [f"z{unit + 1}" for unit in range(latent_dims[0])]
    return [f"z{level}.{unit + 1}" for level, units in enumerate(latent_dims, 1) for unit in range(units)]
