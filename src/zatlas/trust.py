"""Foreign code: whether it may run, where it is, and what a run keeps of it.

Code that is named by its place, ``package.module:Class``, is imported only where a person asks for it; a run folder of
somebody else never runs any unasked.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from zatlas.errors import UsageError, nearest

PLACE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_trust: ContextVar[bool] = ContextVar("trust", default=False)


@contextmanager
def trusting(trust: bool = True) -> Iterator[None]:
    """Within it, the code that a configuration names by its place is imported, which runs it."""
    token = _trust.set(trust or _trust.get())
    try:
        yield
    finally:
        _trust.reset(token)


def trusted() -> bool:
    """Whether code that is named may be imported."""
    return _trust.get()


def trust() -> None:
    """From here on, as within :func:`trusting`: for a process that a person started with --trust."""
    _trust.set(True)


def imported(place: str, what: str) -> Any:
    """The object at ``package.module:name``. A module that this process has imported already is looked up in any case;
    another one is imported, which runs its code, only within :func:`trusting`.

    Args:
        place: where it is.
        what: what names it, for messages.

    Raises:
        UsageError: it is not to be trusted, is not installed, or fails.
    """
    name, _, path = place.partition(":")
    if name not in sys.modules and not _trust.get():
        raise UsageError(
            f"{what} would run code of {name!r} on this machine: if you trust it, say so with --trust on the command "
            "line or trust=True in Python, or import the module first."
        )
    here = os.getcwd()
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.append(here)  # last, so that it hides nothing that is installed
    try:
        found: Any = sys.modules.get(name) or import_module(name)
        for part in path.split("."):
            found = getattr(found, part)
    except ModuleNotFoundError as error:
        missing = error.name or name
        where = (
            "is not installed and is not in this folder"
            if missing.split(".")[0] == name.split(".")[0]
            else "is missing"
        )
        raise UsageError(f"{what}: the module {missing} {where}: install its package, or go to its folder.") from None
    except AttributeError:
        if name == "__main__":
            raise UsageError(
                f"{what} was defined in a script or notebook, where it cannot be found again: define it in a module, "
                "or in this script under the same name."
            ) from None
        raise UsageError(f"{what}: the module {name} has no {path}; {nearest(path, dir(sys.modules[name]))}") from None
    except Exception as error:
        raise UsageError(f"{what}: importing {name} failed with {type(error).__name__}: {error}.") from error
    finally:
        if added:
            sys.path.remove(here)
    return found


def is_module(target: Any) -> bool:
    """Whether it is a class of torch modules: to make one runs only code that this process has imported already, where
    a function such as ``os:abort`` or a class such as ``subprocess:Popen`` would act."""
    return isinstance(target, type) and any(base.__module__ == "torch.nn.modules.module" for base in target.__mro__)


def place_of(target: Any) -> str:
    """``package.module:Class`` of a class or function."""
    return f"{target.__module__}:{target.__qualname__}"


def origin(part: Any) -> dict[str, Any]:
    """What a run keeps of a foreign part: its module, the version of its package, and a hash of its source."""
    return {"kind": part.name, **origin_of(part.sort, part.target)}


def origin_of(sort: str, target: Any) -> dict[str, Any]:
    """The same of a class or function."""
    name = str(target.__module__)
    distributions = packages_distributions().get(name.split(".", maxsplit=1)[0], [])
    path = source_path(name)
    return {
        "sort": sort,
        "place": place_of(target),
        "package": distributions[0] if distributions else None,
        "version": version(distributions[0]) if distributions else None,
        "source_sha256": hashlib.sha256(path.read_bytes()).hexdigest() if path else None,
    }


def source_path(module: str) -> Path | None:
    """The file that an imported module was made from; None for one without, such as a notebook's, and for a module that
    is not imported: to look for one runs the packages around it."""
    spec = getattr(sys.modules.get(module), "__spec__", None)
    path = Path(spec.origin) if spec is not None and spec.origin else None
    return path if path is not None and path.is_file() else None


def changed(kept: Mapping[str, Any]) -> str | None:
    """A sentence where the code of a foreign part is not what :func:`origin` kept of it."""
    name = str(kept.get("place", "")).partition(":")[0]
    path = source_path(name)
    if path is None or not kept.get("source_sha256"):
        return None
    if hashlib.sha256(path.read_bytes()).hexdigest() == kept["source_sha256"]:
        return None
    of = f" (it was made with {kept['package']} {kept['version']})" if kept.get("package") else ""
    return f"The source of {kept['place']} has changed since this run was made{of}: what it gives may differ."


def kept_parts(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a run.json holds of foreign parts, of which each is as :func:`origin` made it."""
    kept = record.get("parts", [])
    return [one for one in kept if isinstance(one, Mapping)] if isinstance(kept, list) else []
