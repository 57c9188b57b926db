"""A source of images with every image resized, cropped or recoloured as it is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from zatlas.data.content import fingerprint
from zatlas.data.source import Rows, Source
from zatlas.decoding.geometry import Geometry
from zatlas.errors import UsageError
from zatlas.types import DataSpec


def recolour(x: npt.NDArray[Any], channels: int) -> npt.NDArray[Any]:
    """Images ``[B, C, H, W]`` in so many channels."""
    if x.shape[1] == channels:
        return x
    if channels == 3:
        return np.repeat(x, 3, axis=1)
    luma = np.einsum("bchw,c->bhw", x.astype(np.float32), np.array([0.299, 0.587, 0.114], np.float32))[:, None]
    return np.round(luma).astype(np.uint8) if x.dtype == np.uint8 else luma


class Reshaped:
    """A source of images with every image resized, cropped or recoloured as it is read.

    Raises:
        UsageError: the source holds vectors, or the crop is larger than its images.
    """

    def __init__(self, source: Source, geometry: Geometry) -> None:
        if not source.spec.is_image:
            raise UsageError(f"{source.name} holds vectors, which can be neither resized, cropped nor recoloured.")
        channels, height, width = source.spec.shape
        self._source, self._geometry = source, geometry
        self._channels = geometry.channels or channels
        self.name, self.factors, self.factor_names = source.name, source.factors, source.factor_names
        self.test_rows, self.validation_rows, self.names = source.test_rows, source.validation_rows, source.names
        shape = (self._channels, *geometry.size((height, width)))
        self.spec = DataSpec(shape, source.spec.values, source.spec.label_kind, source.spec.labels)
        self.about = source.about | geometry.about()
        self._fingerprint = ""

    def __len__(self) -> int:
        return len(self._source)

    def read(self, rows: Rows) -> npt.NDArray[Any]:
        x = recolour(self._source.read(rows), self._channels)
        if x.shape[1:] == self.spec.shape:
            return x
        out = np.empty((len(x), *self.spec.shape), x.dtype)
        for image, planes in zip(out, x, strict=True):
            for channel, plane in zip(image, planes, strict=True):
                channel[:] = np.asarray(self._geometry.apply(Image.fromarray(plane)))
        return out

    def read_labels(self, rows: Rows) -> npt.NDArray[Any] | None:
        return self._source.read_labels(rows)

    def fingerprint(self) -> str:
        self._fingerprint = self._fingerprint or fingerprint(self)
        return self._fingerprint
