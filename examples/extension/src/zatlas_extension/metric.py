"""A metric: how sharp samples are beside the data."""

import numpy as np

from zatlas.evaluation import Figure
from zatlas.measure.metric import Found
from zatlas.parts import metric


def needs_images(run):
    """Why a run cannot be measured; None where it can."""
    return None if run.spec.is_image else "its data are columns and no images"


def edges(images):
    """Mean squared difference of neighbouring pixels ``[N]`` of images ``[N, C, H, W]`` in [0, 1]."""
    across, down = np.diff(images, axis=3), np.diff(images, axis=2)
    return (across**2).mean((1, 2, 3)) + (down**2).mean((1, 2, 3))


@metric("sharpness", when="edges of samples over those of data: below 1 they are blurred", lacks=needs_images, rows=500)
def sharpness(run, rows, options, progress):
    """The ratio of two means, with its standard error by the delta method."""
    scale = 255.0 if run.spec.values == "uint8" else 1.0
    real = edges(run.source.read(rows).astype(np.float64) / scale)
    made = edges(run.sample(len(rows), seed=options.seed)[0].mean.astype(np.float64))
    progress(len(rows))
    ratio = made.mean() / real.mean()
    spread = np.hypot(made.std() / made.mean(), real.std() / real.mean()) / len(rows) ** 0.5
    return Found(
        {"sharpness": Figure(float(ratio), float(ratio * spread), len(rows), "ratio of means", over="samples")}
    )
