"""What the shell offers when Tab is pressed; nothing here imports torch, for the shell waits."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path

# Written out, since the room that holds them imports torch; tests compare.
DATA = ("digits", "sprites", "mnist", "fashion-mnist")

Complete = Callable[[str], list[str]]


def _of(names: Callable[[], list[str]]) -> Complete:
    return lambda incomplete: [name for name in names() if name.startswith(incomplete)]


def _parts(sort: str) -> Complete:
    """The names of parts, read from the source of their room, since importing them would import torch; and those of
    installed packages, from their entry points."""

    def names() -> list[str]:
        from importlib.metadata import entry_points

        from zatlas.parts import SORTS

        room = resources.files("zatlas").joinpath(*SORTS[sort].room.split(".")[1:])
        sources = [file.read_text(encoding="utf-8") for file in room.iterdir() if file.name.endswith(".py")]
        found = {name for source in sources for name in re.findall(rf'^@?{sort}\(\s*"([\w-]+)"', source, re.MULTILINE)}
        return sorted(found | {point.name for point in entry_points(group=SORTS[sort].group)})

    return _of(names)


def _presets() -> list[str]:
    folder = resources.files("zatlas").joinpath("config", "presets")
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))


def _run_keys() -> list[str]:
    from zatlas.runs.listing import KEYS

    return KEYS


def _paths(incomplete: str) -> list[str]:
    """Files and folders that begin so, a folder with its slash."""
    typed = Path(incomplete)
    parent = typed if incomplete.endswith("/") else typed.parent
    start = "" if incomplete.endswith("/") else typed.name
    try:
        found = sorted(path for path in parent.iterdir() if path.name.startswith(start))
    except OSError:
        return []
    return [f"{path}/" if path.is_dir() else str(path) for path in found if start or not path.name.startswith(".")]


def complete_run(incomplete: str) -> list[str]:
    """Run folders under what is typed; where nothing is, those of runs/; else folders on the way there."""
    folders = [path for path in _paths(incomplete or "runs/") if path.endswith("/")]
    return [path.rstrip("/") if (Path(path) / "run.json").is_file() else path for path in folders]


def complete_data(incomplete: str) -> list[str]:
    """Named data sets, and paths."""
    return [name for name in DATA if name.startswith(incomplete)] + _paths(incomplete)


def complete_run_filter(incomplete: str) -> list[str]:
    """``model=``, ``status=``, ..."""
    return [f"{key}=" for key in _run_keys() if key.startswith(incomplete)]


def complete_metric(incomplete: str) -> list[str]:
    """Metrics, and ``all``."""
    return [*_parts("metric")(incomplete), *_of(lambda: ["all"])(incomplete)]


complete_run_key = _of(_run_keys)

complete_preset = _of(_presets)
complete_model = _parts("model")
complete_objective = _parts("objective")
complete_network = _parts("network")
complete_likelihood = _parts("likelihood")
complete_prior = _parts("prior")
