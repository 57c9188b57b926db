"""Whether a training fits into the memory that is free: asked before it starts, and said where it did not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from zatlas.config import Config
from zatlas.data.prefetch import free_bytes
from zatlas.errors import ZatlasError, says_no_memory
from zatlas.files import in_bytes
from zatlas.training import Game, Precision
from zatlas.training.memory import Allotted, Reckoned, TooLarge, at_most, even, look_memory, step_memory, weight_bytes
from zatlas.types import Batch, DataSpec

LOOKED = 0.4  # of what an example of a step takes, one that is only looked at takes less
NEAR = 0.25  # of what is free: below it the bound by the shapes is enough, and nothing is counted
CLEARLY = 1.1  # times what is free: so much is refused; what the system sees is 0.86 to 1.5 times what is counted
FITS = 0.7  # of what is free, for the batch that is named: it is to fit, whatever operators set aside


class OutOfMemory(ZatlasError):
    """More memory is wanted than there is."""


@dataclass(frozen=True)
class Demand:
    """What a training takes, in bytes.

    Attributes:
        step: of so many examples.
        look: at so many held-out ones.
        standing: weights, the optimiser's state and the copies of both that last.
        saving: what a checkpoint takes while it is written.
        rows, looked: examples of a step, and of a look.
        room: what it may take.
    """

    step: Reckoned
    look: Reckoned | None
    standing: int
    saving: int
    rows: int
    looked: int
    room: int

    @property
    def tight(self) -> bool:
        """Whether tensors of twice the bytes might not fit."""
        return self.standing + 2 * self.parts["step"] > 0.8 * self.room

    @property
    def parts(self) -> dict[str, int]:
        """Bytes of what comes on top of the standing, one after another."""
        look = 0 if self.look is None else self.look.bytes(self.looked)
        return {"step": self.step.bytes(self.rows), "look": look, "saving": self.saving}

    @property
    def bytes(self) -> int:
        """The most at any time."""
        return self.standing + max(self.parts.values())

    def fitting(self) -> int:
        """Examples of a step that fit with something to spare; 0 where none do."""
        return even(self.step.rows(int(FITS * self.room) - self.standing))


def demand(
    config: Config,
    game: Game,
    batch: Batch,
    *,
    precision: Precision = "fp32",
    held_out: int = 0,
    looked: int = 0,
    room: int,
) -> Demand:
    """What a training takes, counted on a few examples.

    Args:
        config: the configuration.
        game: what is trained.
        batch: the first of its batches.
        precision: of the networks.
        held_out: validation rows.
        looked: of which so many are looked at in one go.
        room: bytes that it may take, the weights that are there already among them.
    """
    weights, t = weight_bytes(game), config.training
    slots = (1 if t.optimizer == "sgd" else 2) * sum(4 * p.numel() for p in game.parameters() if p.requires_grad)
    average = bool(t.ema)
    lasting = average + (len(game.players) == 1 and t.overfitting == "begin_again")  # the average, and the start
    kept = weights * (1 + average) + slots
    on_host = batch.x.device.type == "cpu"
    look = look_memory(game, batch, precision=precision, room=room) if held_out else None
    return Demand(
        step=step_memory(game, batch, precision=precision, room=room),
        look=look,
        standing=weights * (1 + lasting) + slots,
        saving=3 * kept if on_host else 0,  # taken, laid end to end for the file, and the best held until it is written
        rows=len(batch.x),
        looked=min(held_out, looked),
        room=room,
    )


def check_memory(
    config: Config,
    spec: DataSpec,
    game: Game,
    batch: Batch,
    device: torch.device,
    *,
    precision: Precision,
    held_out: int,
    looked: int,
    processes: int = 1,
    say: Callable[[str], None] = lambda sentence: None,
) -> Demand | None:
    """Refuses a training that takes clearly more memory than is free, and says so where it is close.

    Small trainings are let through by a bound from the shapes of the weights, which takes no time.

    Args:
        config: the configuration.
        spec: of the data.
        game: what is trained, on the device.
        batch: the first of its batches, whole.
        device: where.
        precision: of the networks.
        held_out: validation rows.
        looked: of which so many are looked at in one go.
        processes: that share a batch, and this machine's memory where it is no GPU's.
        say: is given a sentence where it is close.

    Raises:
        OutOfMemory: how much it takes, how much is free, and what mends it.

    Returns:
        What was counted; None where the bound was enough.
    """
    if config.kind.closed:  # which asks for its own room
        return None
    free, held = free_bytes(device), weight_bytes(game)
    rows, samples = len(batch.x), int(getattr(config.objective, "samples", 1))
    if (
        at_most(game, batch, rows=max(rows, int(LOOKED * min(held_out, looked))), samples=samples) + 8 * held
        < NEAR * free
    ):
        return None
    share = processes if device.type == "cpu" else 1
    room = free // share + held  # the weights are there already
    part = Batch(*(None if t is None else t[: -(-rows // processes)] for t in batch))  # type: ignore[arg-type]
    with telling(config, spec):
        found = demand(config, game, part, precision=precision, held_out=held_out, looked=looked, room=room)
    if found.bytes > CLEARLY * room:
        raise OutOfMemory(_refusal(found, config, spec, device))
    if found.bytes > FITS * room:
        say(f"Memory {_wants(found)}, and {in_bytes(room)} are free: it may not be enough.")
    return found


def _wants(found: Demand) -> str:
    parts = found.parts
    what = max(parts, key=lambda name: parts[name])
    doing = {
        "step": f"a training step of {found.rows:,} examples",
        "look": f"validation, {found.looked:,} examples at once,",
        "saving": "a checkpoint of weights and optimiser",
    }[what]
    return f"{doing} takes about {in_bytes(found.bytes)} of memory"


def _refusal(found: Demand, config: Config, spec: DataSpec, device: torch.device) -> str:
    place = "" if device.type == "cpu" else f" on {device}"
    mends, fits = smaller(config, spec), found.fitting()
    if 0 < fits < found.rows and found.standing + max(found.parts["look"], found.saving) <= found.room:
        mends = [f"--batch-size {fits}", *mends]
    return f"{_wants(found)}, and {in_bytes(found.room)} are free{place}: give {' or '.join(mends)}."


def smaller(config: Config, spec: DataSpec) -> list[str]:
    """The options by which this training takes less."""
    size, samples = getattr(config.network, "size", None), getattr(config.objective, "samples", 1)
    return [
        *(["smaller images (--resize)"] if spec.is_image else []),
        *(["a smaller network (--size)"] if size not in (None, "xs") else []),
        *([f"fewer than {samples} samples (--set objective.samples=…)"] if samples > 1 else []),
    ] or ["a smaller network"]


@contextmanager
def telling(config: Config, spec: DataSpec) -> Iterator[None]:
    """Turns what torch, numpy or Python say where memory has run out into one sentence.

    Raises:
        OutOfMemory: in the place of such an error.
    """
    try:
        yield
    except ZatlasError:
        raise
    except (MemoryError, RuntimeError, OSError) as error:
        if not says_no_memory(error):
            raise
        rows = config.training.batch_size
        which = f", which is {rows}" if rows else ""
        mends = [f"fewer examples a step (--batch-size{which})"] if rows != 1 else []
        raise OutOfMemory(
            f"there is not enough memory for this training: free some, or give "
            f"{' or '.join([*mends, *smaller(config, spec)])}."
        ) from error


@contextmanager
def room_for_weights(config: Config, spec: DataSpec) -> Iterator[None]:
    """Refuses weights that take more than the memory that is free, while they are made.

    Raises:
        OutOfMemory: how much they take at least, and how much is free.
    """
    free = free_bytes(torch.device("cpu"))
    try:
        with Allotted(free):
            yield
    except TooLarge as error:
        raise OutOfMemory(
            f"the weights of this {config.network_kind} network take at least {in_bytes(error.wanted)} of memory, and "
            f"{in_bytes(free)} are free: give {' or '.join(smaller(config, spec))}."
        ) from None
