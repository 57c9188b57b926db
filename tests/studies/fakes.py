"""Work that costs nothing: it keeps what it trained in files, as a run folder does, and can be told to misbehave."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zatlas.errors import ZatlasError
from zatlas.studies.members import Member


def member(number: int, **facts: Any) -> Member:
    return Member(f"{number:016x}", {"number": number}, {"number": number}, **facts)


def trained_once(store: Path, key: str, point: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Trains what is not in the store, and puts it there whole; the file ``trainings`` counts every training begun
    and ended."""
    if not (store / key).exists():
        point()
        with (store / "trainings").open("a") as file:
            file.write(f"{key}\n")
        # the training and its result are one step here: a training cut short is resumed, and not done twice
        (store / key).touch()
        point()
    return {"figures": {"elbo": [-float(int(key, 16)), None]}, "steps": 1, "train_seconds": 0.0}


def work(task: dict[str, Any], channel: Any) -> dict[str, Any]:
    """What a worker calls: obeys ``task["order"]`` the first time that it is called for a member."""
    store = Path(task["store"])
    first = not (store / f"begun-{task['key']}").exists()
    (store / f"begun-{task['key']}").touch()
    order = task.get("order", "")
    if first or order.endswith("always"):
        match order.partition(" ")[0]:
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(60)
            case "fail":
                raise ZatlasError("it does not want to.")
            case "surprise":
                raise KeyError("nobody foresaw this")
            case "full":
                raise ZatlasError("x could not be written.") from OSError(28, "No space left on device")
    if "rungs" in task:
        for rung in task["rungs"]:
            if not channel.ask(rung, float(task["loss"])):
                return {"figures": {}, "stopped": "halted", "threads": os.environ["OMP_NUM_THREADS"]}
    if "slow" in task:
        end = time.monotonic() + task["slow"]
        while time.monotonic() < end:
            channel.beat()
            time.sleep(0.02)
    print("a library prints on stdout")  # which is no message
    return {**trained_once(store, task["key"]), "threads": os.environ["OMP_NUM_THREADS"]}
