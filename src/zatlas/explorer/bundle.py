"""The built page."""

from __future__ import annotations

from importlib.resources import files

from zatlas.errors import ZatlasError


def static(name: str) -> bytes:
    """A file of the built page.

    Raises:
        ZatlasError: this copy of zatlas was packed without it.
    """
    path = files("zatlas.explorer") / "static" / name
    if not path.is_file():
        raise ZatlasError(f"the explorer's page lacks {name}: build it in frontend/ with `npm ci && npm run build`.")
    return path.read_bytes()
