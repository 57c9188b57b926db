"""How far images are from what their codes decode to, in decibels and grey levels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from zatlas.evaluation.elbo import Batches
from zatlas.evaluation.figure import Figure, mean_figure
from zatlas.training import Precision, autocast
from zatlas.types import Infers

LEVELS = 255  # grey levels between 0 and 1
ROUNDING = 1 / 12 / LEVELS**2  # mean squared error of values rounded to a grey level


@dataclass(frozen=True)
class Reconstruction:
    """Mean squared errors ``[N]`` of images in [0, 1], each over the values of one image."""

    squared: Tensor

    def figures(self) -> dict[str, Figure]:
        """``psnr`` in dB and ``rmse`` in grey levels.

        PSNR = 10 log10(1 / MSE) of each image, then their mean, as image restoration reports it; an MSE below that of
        rounding to 8 bits counts as that, 58.9 dB, for one image that is black throughout would else outweigh a
        thousand. RMSE is the root of the mean over all values of all images.
        """
        how = "reconstructed from the posterior's mean"
        decibels = -10 * self.squared.clamp_min(ROUNDING).log10()
        mean = mean_figure(self.squared, how)
        root = max(mean.value, 0.0) ** 0.5
        error = mean.standard_error / (2 * root) if root else 0.0  # the delta method
        estimator = f"over all pixels of all images, {how}"
        return {
            "psnr": mean_figure(decibels, f"mean over images, each {how}", unit="dB"),
            "rmse": Figure(LEVELS * root, LEVELS * error, mean.count, estimator, "grey levels"),
        }


@torch.no_grad()
def estimate_reconstruction(
    model: Infers,
    batches: Batches,
    *,
    conditional: bool,
    device: torch.device,
    precision: Precision = "fp32",
    progress: Callable[[int], None] | None = None,
) -> Reconstruction:
    """Encodes every example to its posterior's mean and decodes that; nothing is drawn.

    Args:
        model: encodes and generates.
        batches: N examples with values in [0, 1].
        conditional: whether the decoder takes labels.
        device: that the model is on.
        precision: of the networks.
        progress: is told how many examples were added.
    """
    model.eval()
    found = []
    for batch in batches.epoch(0):
        with autocast(device, precision):
            code = model.encode(batch.x, batch.y).mean.float()
            px = model.generate(y=batch.y if conditional else None, z=code.split(model.latent_dims, -1)).px
        error = px.mean[0].double().clamp(0, 1) - batch.x.double()  # a picture has no values outside
        found.append(error.square().flatten(1).mean(1).cpu())
        if progress:
            progress(len(batch.x))
    return Reconstruction(torch.cat(found))
