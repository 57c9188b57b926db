"""Draws that leave torch's global random state as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def forked_rng(device: torch.device | None = None, *, seed: int | None = None) -> Iterator[None]:
    """Restores torch's global random state at the end, that of the CPU and, where it is a GPU, of ``device``.

    Args:
        device: where else draws are made; None: on the CPU alone, and no GPU is seeded.
        seed: what both generators start from; None: the state they have.

    >>> before = torch.get_rng_state()
    >>> with forked_rng(seed=3):
    ...     a = torch.randn(2)
    >>> with forked_rng(seed=3):
    ...     b = torch.randn(2)
    >>> torch.equal(a, b), torch.equal(before, torch.get_rng_state())
    (True, True)
    """
    gpus = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        if seed is not None and gpus:
            torch.manual_seed(seed)
        elif seed is not None:
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs as well
        yield
