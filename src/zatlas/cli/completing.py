"""What the shell offers when Tab is pressed; nothing here imports torch, for the shell waits."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path

# Written out, since the rooms that hold them import torch; tests compare.
METRICS = (
    "bound", "reconstruction", "game", "exact", "quadrature", "importance", "defensive", "annealed",
    "bidirectional", "prior", "rate", "gap", "disentanglement", "samples", "probes", "bayes", "all",
)  # fmt: skip
DATA = ("digits", "sprites", "mnist", "fashion-mnist")

Complete = Callable[[str], list[str]]


def _of(names: Callable[[], list[str]]) -> Complete:
    return lambda incomplete: [name for name in names() if name.startswith(incomplete)]


def _kinds(what: str) -> Complete:
    def names() -> list[str]:
        from zatlas.config import kinds

        return list(getattr(kinds, what))

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


complete_run_key = _of(_run_keys)
complete_metric = _of(lambda: list(METRICS))
complete_preset = _of(_presets)
complete_model = _kinds("MODELS")
complete_objective = _kinds("OBJECTIVES")
complete_network = _kinds("NETWORKS")
complete_likelihood = _kinds("LIKELIHOODS")
complete_prior = _kinds("PRIORS")
