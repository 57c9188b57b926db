"""What every record of a run and of a checkpoint has to say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zatlas.errors import ZatlasError
from zatlas.training import checkpoint
from zatlas.types import DataSpec

_FORM = {"status": str, "config_sha256": str, "data_kind": str, "steps_per_epoch": int, "steps": int}


def check_record(record: dict[str, Any], path: Path) -> None:
    """Refuses a run's record that lacks what every run has.

    Raises:
        ZatlasError: it is damaged; ``path`` is named.
    """
    try:
        spec = DataSpec.from_json(record["data"]["spec"])
        fits = all(isinstance(record[key], kind) for key, kind in _FORM.items())
        fits &= all(type(size) is int and 0 < size < 2**31 for size in spec.shape)
    except (KeyError, TypeError):
        fits = False
    if not fits or not isinstance(record.get("checkpoints", {}), dict):
        raise ZatlasError(f"the run's record {path} is damaged: entries are missing or of another kind.")


def check_step(record: dict[str, Any], path: Path) -> None:
    """Refuses a checkpoint's record that does not say its step.

    Raises:
        ZatlasError: it is damaged; ``path``, the checkpoint's folder, is named.
    """
    trainer = record.get("trainer")
    if not isinstance(trainer, dict) or type(trainer.get("step")) is not int or trainer["step"] < 0:
        raise ZatlasError(f"the checkpoint's record {path / checkpoint.STATE} is damaged: it does not say its step.")
