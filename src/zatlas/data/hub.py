"""Images from the Hugging Face hub, through the library ``datasets`` (the extra ``hub``)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from zatlas.data.content import fingerprint
from zatlas.data.labels import Labels, make_labels
from zatlas.data.source import Rows
from zatlas.decoding.geometry import Geometry, plain
from zatlas.errors import UsageError, ZatlasError, listed, nearest, reading
from zatlas.files import look, typed_path
from zatlas.types import DataSpec


def open_hub(text: str, *, labels: str | None = None, geometry: Geometry) -> HubSource:
    """The data set ``hf:OWNER/NAME`` on the hub, or ``hf:FOLDER`` as ``save_to_disk`` writes it.

    Of the parts that its authors made, "train" (else the first) is shown, and "test" gives the test rows.

    Args:
        text: what the person typed.
        labels: column of the labels; None: the first with class names.
        geometry: what is done to every image.

    Raises:
        ZatlasError: the library is not installed, or the data set cannot be loaded.
        UsageError: it has no column of images, or not the label column asked for.
    """
    try:
        import datasets
    except ImportError:
        raise ZatlasError(f"{text} needs the library datasets: pip install 'zatlas[hub]'.") from None
    where = text.removeprefix("hf:")
    if not where.strip():
        raise UsageError(f"{text} names no data set: write hf:OWNER/NAME, or hf:FOLDER for one that is here.")
    folder = typed_path(where)
    with reading(text, "write hf:OWNER/NAME as on the hub, or hf:FOLDER as save_to_disk writes it"):
        found = datasets.load_from_disk(str(folder)) if look(folder) == "folder" else datasets.load_dataset(where)
        return opened(found, text, labels, geometry)


def opened(found: Any, text: str, labels: str | None, geometry: Geometry) -> HubSource:
    """Its column of images, of a ``datasets.Dataset`` or of the parts of one."""
    import datasets

    if not isinstance(found, dict):
        parts = [found]
    elif not found:
        raise ZatlasError(f"{text} holds no parts: save it again.")
    else:
        first = "train" if "train" in found else next(iter(found))
        parts = [found[first], *([found["test"]] if "test" in found and first != "test" else [])]
    whole = datasets.concatenate_datasets(parts) if len(parts) > 1 else parts[0]
    columns = {column: type(feature).__name__ for column, feature in whole.features.items()}
    images = next((column for column, kind in columns.items() if kind == "Image"), None)
    if images is None:
        raise UsageError(f"{text} has no column of images: it has {listed(columns)}.")
    if labels is not None and labels not in columns:
        raise UsageError(f"{text} has no column {labels}; {nearest(labels, columns)}")
    column = labels or next((c for c, kind in columns.items() if kind == "ClassLabel"), None)
    if column is None:
        y = make_labels(None, len(whole), text)
    else:
        names = getattr(whole.features[column], "names", None)
        y = make_labels(whole[column], len(whole), text, names)
    test = np.arange(len(parts[0]), len(whole)) if len(parts) > 1 else None
    return HubSource(text, whole.select_columns([images]), images, y, test_rows=test, geometry=geometry)


class HubSource:
    """Images of one column, decoded when they are read, values "uint8"; the first image says whether they are grey."""

    def __init__(
        self, name: str, rows: Any, column: str, labels: Labels, *, test_rows: Rows | None, geometry: Geometry
    ) -> None:
        if len(rows) == 0:
            raise ZatlasError(f"{name} holds no rows.")
        self.name, self.test_rows, self.validation_rows, self.names = name, test_rows, None, None
        self._rows, self._column, self._labels, self._geometry = rows, column, labels, geometry
        first = rows[0][column]
        if first is None:
            raise ZatlasError(f"{name}: row 0 has no image.")
        self._channels = geometry.channels or (1 if first.mode in ("1", "L", "LA") else 3)
        first = plain(first, self._channels)
        shape = (self._channels, *geometry.size((first.height, first.width)))
        self.spec = DataSpec(shape, "uint8", labels.kind, labels.names)
        self.factors: npt.NDArray[Any] | None = None
        self.factor_names: tuple[str, ...] = ()
        self.about: dict[str, Any] = {"origin": "Hugging Face datasets", "column": column} | geometry.about()
        self._fingerprint = ""

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, rows: Rows) -> npt.NDArray[Any]:
        out = np.empty((len(rows), *self.spec.shape), np.uint8)
        with reading(self.name, "load and save it again"):
            images = self._rows[rows.tolist()][self._column]
        for place, row, image in zip(range(len(rows)), rows.tolist(), images, strict=True):
            if image is None:
                raise ZatlasError(f"{self.name}: row {row} has no image.")
            with reading(f"{self.name}: the image of row {row}", "mend or remove it"):
                image = self._geometry.apply(plain(image, self._channels))
            if (image.height, image.width) != self.spec.shape[1:]:
                raise ZatlasError(
                    f"{self.name}: row {row} has {image.height}x{image.width} pixels and row 0 "
                    f"{self.spec.shape[1]}x{self.spec.shape[2]}: resize to a height and a width (--resize)."
                )
            out[place] = np.asarray(image).reshape(image.height, image.width, self._channels).transpose(2, 0, 1)
        return out

    def read_labels(self, rows: Rows) -> npt.NDArray[Any] | None:
        return None if self._labels.values is None else self._labels.values[rows]

    def fingerprint(self) -> str:
        self._fingerprint = self._fingerprint or fingerprint(self)
        return self._fingerprint
