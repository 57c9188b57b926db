"""How several processes share a batch: each has its own rows of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Cut:
    """The rows of each batch that one of several processes has: contiguous, and as many as the others to within one.

    It also remembers the batch that was shown last, since noise is drawn for all of its rows and cut like them.

    Args:
        rank: which process, from 0.
        world: of how many.
        pad: of a batch of fewer rows than processes one that would have none gets one, whose weight is 0, so that
            every process takes every step; else such a batch is left out.
        whole: rows of the batch shown last, in all processes; 0: none was shown yet.

    >>> [Cut(rank, 3).rows(7) for rank in range(3)]
    [slice(0, 2, None), slice(2, 4, None), slice(4, 7, None)]
    """

    rank: int
    world: int
    pad: bool = False
    whole: int = 0

    def rows(self, whole: int) -> slice:
        """The rows of a batch of ``whole``."""
        first, last = self.rank * whole // self.world, (self.rank + 1) * whole // self.world
        return slice(0, 1) if self.pad and first == last else slice(first, last)

    def count(self, whole: int) -> int:
        """How many of them there are, without one of weight 0."""
        return (self.rank + 1) * whole // self.world - self.rank * whole // self.world

    def show(self, whole: int) -> None:
        self.whole = whole

    @property
    def weight(self) -> float:
        """By what the mean loss of the rows here is weighed, so that the mean over processes is that over all rows."""
        return self.count(self.whole) * self.world / self.whole
