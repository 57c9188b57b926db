"""What several processes that train one model agree on beside the steps: what cannot be, which folder, who writes."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

from zatlas.config import Config
from zatlas.data import Source, Splits
from zatlas.errors import UsageError, ZatlasError
from zatlas.files import read_json
from zatlas.training import Game, Trainer
from zatlas.training.batching import MOST
from zatlas.training.distributed import check_can_be_cut
from zatlas.training.team import Team
from zatlas.types import Batch

# Set by torchrun, and in its manner by zatlas train --workers: how often the workers were begun again, and a name that
# is the same each time.
RESTARTS, LAUNCH = "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_RUN_ID"


def check_together(config: Config, game: Game, batch: Batch, team: Team) -> None:
    """Refuses what several processes cannot train as one would.

    Args:
        config: the configuration.
        game: what is trained.
        batch: a whole batch.
        team: the processes.

    Raises:
        UsageError: the model is fitted in closed form, a batch has fewer rows than there are workers, or the loss
            looks at the rows of a batch together.
    """
    if config.kind.closed:
        raise UsageError(f"{config.model.kind} is fitted in closed form, by one process: leave the workers out.")
    if (config.training.batch_size or MOST) < team.world:
        raise UsageError(
            f"training.batch_size {config.training.batch_size} cannot be cut among {team.world} workers: "
            "give fewer workers, or a larger batch."
        )
    objective = config.objective.kind if config.objective else ""
    who = f"objective {objective}" if game.objective.couples else f"a {config.model.kind} with objective {objective}"
    check_can_be_cut(game, batch, who)


def opened_in_turn(team: Team | None, opening: Callable[[], tuple[Source, Splits]]) -> tuple[Source, Splits]:
    """The data; process 0 opens them first."""
    with team.in_turn() if team else nullcontext():
        return opening()


def facts(team: Team | None) -> dict[str, Any]:
    """What run.json says of the processes that train together, by which a restarted launch finds its run."""
    if team is None:
        return {}
    named = os.environ.get(LAUNCH, "none")
    return {"workers": team.world, **({} if named == "none" else {"launch": named})}


def begun_before(team: Team | None, out: Path | None) -> Path | None:
    """The run folder that the same launch made before its workers were begun again; None: it made none.

    Args:
        team: the processes; process 0 looks, and tells the others.
        out: the folder that was asked for; None: it is sought under ``runs/``.
    """
    if int(os.environ.get(RESTARTS, "0") or 0) == 0:
        return None
    found = _made_by(os.environ.get(LAUNCH, "none"), out) if team is None or team.rank == 0 else None
    return team.share(found) if team else found


def _made_by(launch: str, out: Path | None) -> Path | None:
    if out is not None:
        return out if (out / "run.json").is_file() else None
    records = sorted(Path("runs").glob("*/run.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in records:
        try:
            if launch != "none" and read_json(path, "the run's record").get("launch") == launch:
                return path.parent
        except ZatlasError:
            continue
    return None


def follow(trainer: Trainer) -> NoReturn:
    """The training of a process that writes nothing: when it has ended, so does the process.

    Raises:
        SystemExit: with status 0.
        Lost: another process died or hangs.
    """
    trainer.fit()
    raise SystemExit(0)
