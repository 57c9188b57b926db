"""From what a person typed to a source."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from zatlas.data.catalog import PUBLISHED, local, names
from zatlas.data.digits import open_digits
from zatlas.data.fetch import fetch
from zatlas.data.folder import ImageFiles, LabelLevel
from zatlas.data.hub import open_hub
from zatlas.data.idx import is_whole, open_idx
from zatlas.data.images import Reshaped
from zatlas.data.source import NEEDED, Source, completed
from zatlas.data.sprites import open_sprites
from zatlas.decoding.geometry import Geometry
from zatlas.decoding.members import kind_of
from zatlas.errors import UsageError, ZatlasError, listed, nearest
from zatlas.files import look, typed_path
from zatlas.parts import SORTS
from zatlas.trust import PLACE

Size = int | tuple[int, int]


def open_source(
    text: str,
    *,
    labels: str | None = None,
    resize: Size | None = None,
    crop: Size | None = None,
    channels: int | None = None,
    label_level: LabelLevel = 1,
    skip_damaged: bool = False,
    split_folders: bool = True,
) -> Source:
    """The data that a name or a path stands for.

    Args:
        text: a name (``digits``, ``sprites``, ``sprites:N``, ``mnist``, ..., or what lies under that name in
            ``$ZATLAS_DATA``), ``hf:OWNER/NAME`` or ``hf:FOLDER`` of Hugging Face ``datasets``, or the path of a folder
            of images, a .zip of images, an image file, a folder of IDX files, an IDX file, an .npz or an .npy. A path
            that exists and has a separator or a suffix wins over a name.
        labels: key of the labels in an .npz, column of a hub data set, or a label file.
        resize: height and width in pixels, or the shorter side alone.
        crop: height and width in pixels, or both, cut from the centre after resizing.
        channels: 1 grey, 3 RGB; None: what the images are.
        label_level: of images in folders: which folder is the label, 1 the top one; "path" all of them.
        split_folders: top folders train, test and validation (or val) of images are splits, no labels; and so are
            arrays of an .npz called x_train, x_test and the like.
        skip_damaged: leave out images that cannot be read; ``about["left_out"]`` lists them.

    Raises:
        UsageError: there is no such name or path.
        ZatlasError: the data is damaged or cannot be used.
    """
    images = _Images(Geometry.of(resize, crop, channels), label_level, skip_damaged, split_folders)
    try:
        source = _found(text, labels, images)
    except OSError as error:  # errors of the system: permission is missing, the disk fails
        where = error.filename or text
        raise ZatlasError(f"{where} cannot be read: {error.strerror or error}; see that it is there.") from error
    if skip_damaged and not isinstance(source, ImageFiles):
        raise UsageError(
            f"{text} is no folder or .zip of images, and of others nothing can be left out (--skip-damaged)."
        )
    return source


class _Images(NamedTuple):
    """What is done to images, and which of them are taken."""

    geometry: Geometry
    label_level: LabelLevel
    skip_damaged: bool
    split_folders: bool


def _found(text: str, labels: str | None, images: _Images) -> Source:
    if text.startswith("hf:"):
        return open_hub(text, labels=labels, geometry=images.geometry)
    if not text:
        raise UsageError(f"no data was named; {nearest(text, names())}")
    path, explicit = typed_path(text), _is_explicit(text)
    if explicit and look(path):
        return _open_path(path, text, labels, images)
    source = _open_name(text, labels, images)
    if source is not None:
        return source
    if PLACE.fullmatch(text):
        return _foreign(text, text, labels, images.geometry)
    if not explicit and text.partition(":")[0] in [p.name for p in SORTS["format"].parts() if "takes" not in p.facts]:
        return _foreign(text.partition(":")[0], text, labels, images.geometry)
    if look(path):
        return _open_path(path, text, labels, images)
    if explicit and ":" not in text:
        raise UsageError(f"there is no file or folder {text}.")
    raise UsageError(f"there is no data called {text!r}; {nearest(text.partition(':')[0], names())}")


def _foreign(kind: str, text: str, labels: str | None, geometry: Geometry) -> Source:
    """Data that a declared class or function makes: of another package, or at a place ``package.module:Class``; a count
    after its name, as in ``spirals:500``, is its argument.

    Raises:
        UsageError: there is no such code, or it makes no source.
    """
    target = SORTS["format"].get(kind).target
    count = text.partition(":")[2] if kind != text else ""
    made = target(int(count)) if count.isdecimal() else target()
    if lacks := [word for word in NEEDED if not hasattr(made, word)]:
        raise UsageError(
            f"{text} makes a {type(made).__name__} without {listed(lacks)}, and no source of data: see "
            "docs/extending.md."
        )
    return _shaped(completed(made), labels, geometry)


def located(text: str) -> str:
    """What finds the same data or label file from any folder: the absolute path of a path, any other word as it is.

    Raises:
        UsageError, ZatlasError: a path that cannot be recorded or read.
    """
    if PLACE.fullmatch(text):
        return text
    path = typed_path(text)
    if not (_is_explicit(text) or text not in names()) or not look(path):
        return text
    return str(typed_path(os.path.realpath(path)))


def _is_explicit(text: str) -> bool:
    """Whether it is written as a path rather than as a name."""
    return "/" in text or "\\" in text or bool(Path(text).suffix)


def _open_name(text: str, labels: str | None, images: _Images) -> Source | None:
    """The source of that name, or None where there is none."""
    name, colon, count = text.partition(":")
    if name == "sprites":
        return _shaped(open_sprites(count if colon else None), labels, images.geometry)
    if text == "digits":
        return _shaped(open_digits(), labels, images.geometry)
    found = local(text)
    if text not in PUBLISHED or (found and found.is_file()):
        return None if found is None else _open_path(found, text, labels, images)
    if found is None or not is_whole(found):
        found = fetch(text)
    idx = open_idx(found, name=text, labels=labels, label_names=PUBLISHED[text].classes or None)
    idx.about["origin"] = PUBLISHED[text].about
    return _shaped(idx, None, images.geometry)


def _open_path(path: Path, name: str, labels: str | None, images: _Images) -> Source:
    """The source in a file or folder, by what it is."""
    if kind := kind_of(path.stat().st_mode):
        raise UsageError(f"{path} is {kind}, and data are read from files and folders: copy what it gives into one.")
    for part in SORTS["format"].parts():
        if part.facts.get("takes", lambda path: False)(path):
            if part.facts.get("of_images"):
                made: Source = part.target(path, name=name, labels=labels, **images._asdict())
                return made
            more = {"split_folders": images.split_folders} if part.facts.get("splits") else {}
            return _shaped(part.target(path, name=name, labels=labels, **more), None, images.geometry)
    kinds = "; ".join(part.when for part in SORTS["format"].parts() if "takes" in part.facts)
    raise UsageError(f"{path} is of no known kind: give {kinds}.")


def _shaped(source: Source, labels: str | None, geometry: Geometry) -> Source:
    if labels is not None:
        raise UsageError(f"{source.name} has labels of its own, and {labels} cannot take their place.")
    return source if geometry.keeps else Reshaped(source, geometry)
