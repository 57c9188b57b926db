"""PSNR and RMSE of images that come back from their codes."""

from __future__ import annotations

from zatlas import recipes
from zatlas.data import Rows
from zatlas.measure.likelihood import lacks_inference
from zatlas.measure.metric import Found, Options, Progress
from zatlas.parts import metric
from zatlas.runs.opened import Run


def lacks_grey_levels(run: Run) -> str | None:
    return lacks_inference(run) or recipes.lacks_grey_levels(run.config, run.spec)


@metric(
    "reconstruction",
    when="PSNR and RMSE in grey levels of images that come back from their codes",
    order=2,
    lacks=lacks_grey_levels,
    usual=True,
)
def reconstruction(run: Run, rows: Rows, options: Options, progress: Progress) -> Found:
    return Found(run.reconstruction(rows, progress).figures())
