"""What codes are good for: predicting labels, classifying by Bayes' rule, and being found again by another training."""

from zatlas.evaluation.codes.alignment import Alignment, align, reproducibility
from zatlas.evaluation.codes.bayes import bayes_rule, fit_temperature, log_posterior
from zatlas.evaluation.codes.calibration import calibration_error
from zatlas.evaluation.codes.probes import baselines, linear_probe, neighbour_probe, probe_table, regression_probe

__all__ = [
    "Alignment",
    "align",
    "baselines",
    "bayes_rule",
    "calibration_error",
    "fit_temperature",
    "linear_probe",
    "log_posterior",
    "neighbour_probe",
    "probe_table",
    "regression_probe",
    "reproducibility",
]
