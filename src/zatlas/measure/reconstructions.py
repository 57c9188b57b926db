"""PSNR and RMSE of images that come back from their codes."""

from __future__ import annotations

from zatlas import recipes
from zatlas.data import Rows
from zatlas.measure.likelihood import lacks_inference
from zatlas.measure.metric import Found, Options, Progress
from zatlas.opened import Experiment


def lacks_grey_levels(experiment: Experiment) -> str | None:
    return lacks_inference(experiment) or recipes.lacks_grey_levels(experiment.config, experiment.spec)


def reconstruction(experiment: Experiment, rows: Rows, options: Options, progress: Progress) -> Found:
    return Found(experiment.reconstruction(rows, progress).figures())
