"""What is measured of a run, and kept in it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zatlas.measure.beside import beside, short_names  # these two bear the names of their modules, which would
from zatlas.measure.verdict import verdict  # else be found in their place

if TYPE_CHECKING:
    from zatlas.measure.agreeing import agree
    from zatlas.measure.catalog import METRICS, chosen
    from zatlas.measure.comparing import Group, compare_runs, groups
    from zatlas.measure.curves import compare_curves
    from zatlas.measure.memorisation import begin_neighbours, neighbours
    from zatlas.measure.metric import Found, Metric, Options
    from zatlas.measure.running import evaluate_run, tell_if_not_kept

__all__ = [
    "METRICS",
    "Found",
    "Group",
    "Metric",
    "Options",
    "agree",
    "begin_neighbours",
    "beside",
    "chosen",
    "compare_curves",
    "compare_runs",
    "evaluate_run",
    "groups",
    "neighbours",
    "short_names",
    "tell_if_not_kept",
    "verdict",
]

_ELSEWHERE = {
    "METRICS": "catalog",
    "Found": "metric",
    "Group": "comparing",
    "Metric": "metric",
    "Options": "metric",
    "agree": "agreeing",
    "chosen": "catalog",
    "compare_curves": "curves",
    "compare_runs": "comparing",
    "evaluate_run": "running",
    "groups": "comparing",
    "begin_neighbours": "memorisation",
    "neighbours": "memorisation",
    "tell_if_not_kept": "running",
}


def __getattr__(name: str) -> Any:
    # looked up when first used: a training wants a few words of this package, and not to wait for what draws
    if name not in _ELSEWHERE:
        raise AttributeError(f"module 'zatlas.measure' has no attribute {name!r}")
    return getattr(import_module(f"zatlas.measure.{_ELSEWHERE[name]}"), name)
