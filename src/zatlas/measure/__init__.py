"""What is measured of a run, and kept in it."""

from zatlas.measure.agreeing import agree
from zatlas.measure.beside import beside, short_names
from zatlas.measure.catalog import METRICS, chosen
from zatlas.measure.comparing import Group, compare_runs, groups
from zatlas.measure.curves import compare_curves
from zatlas.measure.memorisation import neighbours
from zatlas.measure.metric import Found, Metric, Options
from zatlas.measure.running import evaluate_run, tell_if_not_kept
from zatlas.measure.verdict import verdict

__all__ = [
    "METRICS",
    "Found",
    "Group",
    "Metric",
    "Options",
    "agree",
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
