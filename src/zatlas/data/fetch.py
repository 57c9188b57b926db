"""Fetching a named data set: checksums, several mirrors, nothing half-written."""

from __future__ import annotations

import gzip
import logging
import sys
import zlib
from pathlib import Path

from zatlas.data.catalog import PUBLISHED, Named, data_folder
from zatlas.errors import UsageError, ZatlasError, nearest

_ROUNDS = 2  # over all mirrors
_TIMEOUT_SECONDS = 30


def fetch(name: str, *, folder: Path | None = None) -> Path:
    """Fetch a published data set; files that are there and sound stay.

    Args:
        name: as in ``catalog()``.
        folder: where to; None: a folder of that name in ``$ZATLAS_DATA``, by default in the user's cache.

    Returns:
        The folder.

    Raises:
        UsageError: no published data set has that name.
        ZatlasError: no mirror gives a file with the right checksum, or the folder cannot be written.
    """
    if name not in PUBLISHED:
        raise UsageError(f"there is no data set {name!r} to fetch; {nearest(name, PUBLISHED)}")
    folder = folder or data_folder() / name
    for file, md5 in PUBLISHED[name].md5.items():
        if not _sound(folder / file):
            _fetch_file(name, PUBLISHED[name], file, md5, folder)
    return folder


def _sound(path: Path) -> bool:
    """Whether a packed file is there and whole: gzip keeps a checksum of what is in it, whoever packed it."""
    try:
        with gzip.open(path, "rb") as file:
            while file.read(1 << 20):
                pass
    except (OSError, EOFError, zlib.error):
        return False
    return True


def _fetch_file(name: str, named: Named, file: str, md5: str, folder: Path) -> None:
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)  # zatlas says itself what it does
    failures: dict[str, str] = {}
    for _ in range(_ROUNDS):
        for mirror in named.mirrors:
            print(f"fetching {mirror}{file}", file=sys.stderr, flush=True)
            downloader = pooch.HTTPDownloader(timeout=_TIMEOUT_SECONDS)
            try:  # pooch writes to a temporary file and renames it once the checksum is right
                pooch.retrieve(mirror + file, f"md5:{md5}", fname=file, path=folder, downloader=downloader)
            except requests.HTTPError as error:
                failures[mirror] = f"answered {error.response.status_code if error.response is not None else error}"
            except requests.RequestException as error:
                failures[mirror] = f"could not be reached ({type(error).__name__})"
            except ValueError:
                failures[mirror] = "gave a file with another checksum"
            except OSError as error:
                raise ZatlasError(
                    f"{folder / file} cannot be written ({error.strerror or error}): set ZATLAS_DATA."
                ) from None
            else:
                return
    reasons = "; ".join(f"{mirror} {why}" for mirror, why in failures.items())
    raise ZatlasError(
        f"{file} of {name} could not be fetched ({reasons}): try `zatlas data fetch {name}` again when online, or put "
        f"the file into {folder} (ZATLAS_DATA names the folder above it)."
    )
