"""Training E small VAEs stacked into one, against training them one after another.

    python benchmarks/ensemble.py

The games are mlps for MNIST's shape, on noise: the time of a step does not depend on what the pixels show. The ratio is
the time of E separate trainings over that of the ensemble, for the same number of steps of every member; above one,
stacking is faster. Both run in turns within a repeat, so that a busy machine is busy for both.
"""

from __future__ import annotations

import numpy as np
import torch
from common import median, parser, show

from zatlas.config import make_config
from zatlas.data import ArraySource, Batches
from zatlas.recipes import build_game, optimisation
from zatlas.training import Budget, Game, Schedule, Trainer
from zatlas.training.ensemble import Ensemble

WARM = 3  # steps that are not timed
TRAINING = make_config(("benchmark", {})).training


def seconds(game: Game | Ensemble, data: ArraySource, batch_size: int, steps: int, device: torch.device) -> float:
    """Of so many steps, after a few that warm up."""
    trainer = Trainer(
        game.to(device),  # type: ignore[arg-type]
        Batches(data, np.arange(len(data)), batch_size=batch_size, device=device),
        budget=Budget(steps=WARM),
        optimisation=optimisation(TRAINING),
        schedule=Schedule(),
        device=device,
        clip_norm=TRAINING.clip_norm or None,
    )
    before = trainer.fit().seconds
    trainer.budget = Budget(steps=WARM + steps)
    state = trainer.fit()
    if state.stopped != "budget":  # a training ends politely where someone interrupts it, and the benchmark with it
        raise KeyboardInterrupt
    return state.seconds - before


def games(size: str, members: int, data: ArraySource) -> list[Game]:
    config = make_config(("benchmark", {"model": {"size": size}}))
    torch.manual_seed(0)
    return [build_game(config, data.spec, len(data)) for _ in range(members)]


def main() -> None:
    made = parser(__doc__ or "")
    made.add_argument("--steps", type=int, default=30, help="timed steps of each training (default 30)")
    made.add_argument("--threads", type=int, default=2, help="of torch's operators (default 2)")
    made.add_argument("--device", default="cpu", help="cpu, cuda or mps (default cpu)")
    arguments = made.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    noise = np.random.default_rng(0).integers(0, 256, (20_000, 28, 28), dtype=np.uint8)
    data = ArraySource("noise", noise)
    rows = []
    for size, batch_size in (("xs", 32), ("xs", 128), ("s", 128)):
        for members in (1, 2, 4, 8):
            stacked, apart = [], []
            for _ in range(arguments.repeats):
                alone = games(size, members, data)
                stacked.append(seconds(Ensemble(alone), data, batch_size, arguments.steps, device))
                apart.append(sum(seconds(game, data, batch_size, arguments.steps, device) for game in alone))
            rows.append(
                {
                    "mlp": size,
                    "batch": batch_size,
                    "E": members,
                    "stacked ms/step": 1e3 * median(stacked) / arguments.steps,
                    "in sequence ms/step": 1e3 * median(apart) / arguments.steps,
                    "ratio": median(a / s for a, s in zip(apart, stacked, strict=True)),
                }
            )
    show(f"E trainings stacked and in sequence (medians, {arguments.threads} threads)", rows, arguments.json)


if __name__ == "__main__":
    main()
