"""Every metric by its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from zatlas.errors import UsageError, nearest
from zatlas.measure.metric import Metric
from zatlas.parts import SORTS


class Metrics(Mapping[str, Metric]):
    """The metrics that zatlas and installed packages declare; one at a place ``package.module:function`` on asking."""

    def __getitem__(self, name: str) -> Metric:
        if name not in SORTS["metric"].names() and ":" not in name:
            raise KeyError(name)
        part = SORTS["metric"].get(name)
        lacks = part.facts.get("lacks", lambda run: None)
        facts = {name: part.facts[name] for name in ("rows", "usual", "draws") if name in part.facts}
        return Metric(part.when, lacks, part.target, **facts)

    def __iter__(self) -> Iterator[str]:
        return iter(SORTS["metric"].names())

    def __len__(self) -> int:
        return len(SORTS["metric"].names())


METRICS = Metrics()


def chosen(names: Sequence[str] | None) -> tuple[str, ...]:
    """The metrics asked for, by name or place; without any the usual ones; ``all``: every one that has a name.

    Raises:
        UsageError: an unknown name.
    """
    if not names:
        return tuple(name for name, metric in METRICS.items() if metric.usual)
    if "all" in names:
        return tuple(METRICS)
    for name in names:
        if ":" in name:
            SORTS["metric"].get(name)
        elif name not in METRICS:
            raise UsageError(f"there is no metric {name!r}; {nearest(name, [*METRICS, 'all'])}")
    return tuple(dict.fromkeys(names))
