"""What is measured of a run, and kept in it."""

from zatlas.measure.agreeing import agree
from zatlas.measure.catalog import METRICS, chosen
from zatlas.measure.comparing import compare_runs
from zatlas.measure.copies import neighbours
from zatlas.measure.curves import compare_curves
from zatlas.measure.metric import Found, Metric, Options
from zatlas.measure.running import evaluate_run, tell_if_not_kept
from zatlas.measure.verdict import verdict

__all__ = [
    "METRICS",
    "Found",
    "Metric",
    "Options",
    "agree",
    "chosen",
    "compare_curves",
    "compare_runs",
    "evaluate_run",
    "neighbours",
    "tell_if_not_kept",
    "verdict",
]
