"""The data of a configuration, and those of a run found again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zatlas.config import Config
from zatlas.data import Batches, Cut, Rows, Source, Splits, open_source, split
from zatlas.data.content import row_bytes
from zatlas.data.own import own_source
from zatlas.data.prefetch import free_bytes
from zatlas.decoding.members import SUFFIXES
from zatlas.errors import UsageError, ZatlasError
from zatlas.files import typed_path
from zatlas.parts import SORTS
from zatlas.runs.folder import RunFolder
from zatlas.training.batching import LEAST, MOST
from zatlas.trust import PLACE, trusting
from zatlas.types import DataSpec

EVALUATION_BATCH = 1000
LOOKED_AT = EVALUATION_BATCH * 3 * 64 * 64  # values: of larger images fewer are looked at in one go


def open_data(config: Config, own: Source | None = None) -> tuple[Source, Splits]:
    """The source that a configuration names, or one of a person's own, and its fixed splits.

    Raises:
        UsageError, ZatlasError: data that are not there, damaged, or too few.
    """
    d = config.data
    source = own or open_source(
        d.source,
        labels=d.labels,
        resize=d.resize,
        crop=d.crop,
        channels=d.channels,
        label_level=d.label_level,
        skip_damaged=d.skip_damaged,
        split_folders=d.split_folders,
    )
    _check_memory(source, min(config.training.batch_size or LEAST, len(source)))
    return source, split(source, validation=d.validation, test=d.test, seed=d.split_seed)


def _check_memory(source: Source, batch_size: int) -> None:
    """Refuses examples of which no batch fits into this machine, before the contents of all are read.

    What is free just now is no measure: in a container it does not count the page cache, which gives way.

    Raises:
        ZatlasError: a batch of float32 is larger than the memory.
    """
    wanted = 4 * source.spec.size * batch_size
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if wanted > memory:
        shape = "x".join(map(str, source.spec.shape))
        raise ZatlasError(
            f"{source.name}: a batch of {batch_size} examples of {shape} would take {wanted / 1e9:,.1f} GB, and this "
            f"machine has {memory / 1e9:,.1f} GB: make the images smaller (--resize), or the batch (--batch-size)."
        )


def evaluation_batch(values: int) -> int:
    """Examples of so many values each that are looked at in one go: at most 1000, or 1000 photographs of 64x64.

    >>> evaluation_batch(28 * 28), evaluation_batch(3 * 256 * 256)
    (1000, 62)
    """
    return max(1, min(EVALUATION_BATCH, LOOKED_AT // values))


def is_image_file(data: str) -> bool:
    """Whether what was named is a single image file."""
    return data.lower().endswith(SUFFIXES) and typed_path(data).is_file()


def batches(
    config: Config,
    source: Source,
    rows: Rows,
    device: torch.device,
    *,
    training: bool = False,
    cut: Cut | None = None,
) -> Batches:
    """Batches of some rows, or this process's part of each, by ``cut``: shuffled and augmented for training, in order
    and as they are otherwise.

    Of data that are larger than memory, no part is kept in it: rows in order are read as fast as they are needed.
    """
    d = config.data
    memory = None if d.memory_gb is None else int(d.memory_gb * 1e9)
    resident = d.resident
    if resident is None and not training:
        resident = len(source) * row_bytes(source) <= (free_bytes(device) // 4 if memory is None else memory)
    return Batches(
        source,
        rows,
        batch_size=(config.training.batch_size or MOST) if training else evaluation_batch(source.spec.size),
        seed=config.training.seed,
        device=device,
        binarise=d.binarise,
        shuffle=training,
        resident=resident,
        memory=memory,
        window=d.shuffle_window if training else 0,
        augment=d.augment if training else (),
        cut=cut,
    )


def reopen(run: RunFolder, config: Config, data: Any, mend: str) -> tuple[Source, Splits]:
    """The data of a run, or others in their place, by name or path or as an object of Python; where they are gone the
    mend is named."""
    if not isinstance(data, str | Path | None):
        return open_data(config, own_source(data, labels=config.data.labels))
    config = config.model_copy(deep=True)
    config.data.source = str(data or config.data.source)
    if data and PLACE.fullmatch(str(data)):
        with trusting():  # a person who names the place asks for it
            SORTS["format"].get(str(data))
    if data and is_image_file(str(data)):
        return few_images(config, str(data), DataSpec.from_json(run.record["data"]["spec"]))
    if not config.data.source:
        if "imported" in run.record:
            raise UsageError(f"{run.path} was imported without data: import it again with --data, or {mend}.")
        raise UsageError(f"{run.path} was trained on arrays that it does not hold: {mend}.")
    try:
        return open_data(config)
    except UsageError as error:
        if data:
            raise
        raise UsageError(f"{error} These are the data of {run.path}: {mend}.") from None


def few_images(config: Config, data: str, spec: DataSpec) -> tuple[Source, Splits]:
    """One image file, resized as the run's data were, as a source all of whose rows are test rows.

    An image that ends with another size, as where the run's data were not resized at all, is scaled until it covers
    the size that the model wants and cut at the centre; ``about["fitted"]`` says so.

    Raises:
        UsageError: the run's data are no images of bytes.
        ZatlasError: no image, or a damaged one.
    """
    if not spec.is_image or spec.values == "real":
        raise UsageError(f"{data} is an image, and this model was trained on columns or real values, not on images.")
    d, channels, wanted = config.data, 1 if spec.shape[0] == 1 else 3, spec.shape[1:]
    try:
        source = open_source(data, resize=d.resize, crop=d.crop, channels=channels)
    except UsageError:  # a crop that is larger than the image
        source = open_source(data, channels=channels)
    if source.spec.shape[1:] != wanted:
        height, width = open_source(data, channels=channels).spec.shape[1:]
        scale = max(wanted[0] / height, wanted[1] / width)
        resize = max(wanted[0], round(height * scale)), max(wanted[1], round(width * scale))
        source = open_source(data, resize=resize, crop=(wanted[0], wanted[1]), channels=channels)
        source.about["fitted"] = f"scaled to cover {wanted[0]}x{wanted[1]} pixels and cut at the centre"
    none = np.arange(0)
    return source, Splits(none, none, np.arange(len(source)))


def check_same_data(run: RunFolder, source: Source) -> None:
    """Refuses data other than those the run was trained on.

    Raises:
        ZatlasError: the fingerprints differ.
    """
    recorded = run.record.get("data", {}).get("sha256")
    if recorded and recorded != source.fingerprint():
        raise ZatlasError(
            f"the data {source.name} are not those that {run.path} was trained on (their fingerprints differ): "
            "put the old data back, or say where they are now."
        )


def label_cycle(spec: DataSpec, n: int, device: torch.device) -> torch.Tensor:
    """n labels ``[n, Y]``: class after class for classes, zeros for real labels."""
    if spec.label_kind == "class":
        return torch.eye(spec.label_dim, device=device)[torch.arange(n) % spec.label_dim]
    return torch.zeros(n, spec.label_dim, device=device)
