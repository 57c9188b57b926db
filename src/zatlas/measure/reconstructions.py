"""Images that come back from their codes: PSNR and RMSE, SSIM, and their Fréchet distance from the images."""

from __future__ import annotations

from dataclasses import replace

import torch

from zatlas import recipes
from zatlas.data import Rows
from zatlas.evaluation import mean_figure
from zatlas.evaluation.quality import frechet_distance, raw_values
from zatlas.evaluation.ssim import WINDOW, ssim
from zatlas.measure.feature_classifier import feature_classifier, held_out_accuracy
from zatlas.measure.likelihood import lacks_inference
from zatlas.measure.metric import Found, Options, Progress, Refused
from zatlas.parts import metric
from zatlas.runs.opened import Run

AT_ONCE = 200


def lacks_grey_levels(run: Run) -> str | None:
    return lacks_inference(run) or recipes.lacks_grey_levels(run.config, run.spec)


def lacks_window(run: Run) -> str | None:
    """For SSIM."""
    reason = lacks_grey_levels(run)
    if reason is None and min(run.spec.shape[1:]) < WINDOW:
        return f"its images are smaller than the window of {WINDOW}x{WINDOW} pixels"
    return reason


@metric(
    "reconstruction",
    when="PSNR and RMSE in grey levels of images that come back from their codes",
    order=2,
    lacks=lacks_grey_levels,
    usual=True,
)
def reconstruction(run: Run, rows: Rows, options: Options, progress: Progress) -> Found:
    return Found(run.reconstruction(rows, progress).figures())


@metric(
    "ssim",
    when="structural similarity (SSIM) of images that come back from their codes",
    order=13,
    lacks=lacks_window,
    rows=10_000,
)
def structural(run: Run, rows: Rows, options: Options, progress: Progress) -> Found:
    """SSIM of each image and what its posterior's mean decodes to (Wang et al. 2004)."""
    values = []
    for part in torch.as_tensor(rows).split(AT_ONCE):
        x, _, shown = run.reconstruct(part.numpy())
        values.append(ssim(torch.from_numpy(x), torch.from_numpy(shown.mean).clamp(0, 1)))
        progress(len(part))
    how = f"mean over images of SSIM, Gaussian window {WINDOW}x{WINDOW}, reconstructed from the posterior's mean"
    return Found({"ssim": mean_figure(torch.cat(values), how, unit="")})


@metric(
    "reconstruction_frechet",
    when="Fréchet distance of images that come back from their codes from the images themselves",
    order=14,
    lacks=lacks_grey_levels,
    rows=10_000,
)
def distance(run: Run, rows: Rows, options: Options, progress: Progress) -> Found:
    """Fréchet distance in the features of the classifier of these data, or in raw values where they have no classes."""
    known = feature_classifier(run.source, run.rows("train"), run.config.data.binarise, run.device, run.say)
    figures, extractor = {}, raw_values()
    if known:
        accuracy, reason = held_out_accuracy(run, known)
        if reason:
            raise Refused(reason)
        figures["classifier_accuracy"], extractor = accuracy, known.extractor
    x, _, shown = run.reconstruct(rows)
    found = frechet_distance(extractor(shown.mean.clip(0, 1)), extractor(x))
    size = "x".join(map(str, run.spec.shape))
    figure = found.figure
    estimator = f"{figure.estimator} by {extractor.name}, the same images before and after, N={figure.count}, {size}"
    caution = f"{extractor.caution} The two sets are the same images, so that nothing of it is chance of sampling."
    figures["reconstruction_frechet"] = replace(figure, estimator=estimator, caution=caution.strip())
    progress(len(rows))
    return Found(figures, {"warnings": list(found.warnings)})
