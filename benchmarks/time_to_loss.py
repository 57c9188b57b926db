"""Seconds of training to the notebook's 155.9 nats (MNIST, z = 2, grey), and the loss in the notebook's own time.

    python benchmarks/time_to_loss.py                          # zatlas and the notebook
    python benchmarks/time_to_loss.py --pythae PYTHON          # and pythae, by the Python that has it
    python benchmarks/time_to_loss.py --long                   # and 160 seconds of training

The notebook's time to 155.9 is ten of its epochs; two are timed.
"""

from __future__ import annotations

import re
import subprocess

from common import median, need_shared, parser, show, train
from course import notebook

TARGET = 155.9
BUDGETS = (0.5, 0.75, 1.0, 1.6, 3.0)


def pythae(python: str, epochs: int) -> tuple[float, float]:
    """Training seconds and test loss."""
    shared = need_shared()
    command = [python, str(shared / "anchors" / "pythae_vae.py"), str(shared / "data" / "mnist"), str(epochs)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"epochs, ([\d.]+) s, test loss ([\d.]+)", output)
    assert found, output
    return float(found[1]), float(found[2])


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--pythae", metavar="PYTHON", help="a Python in whose environment pythae is installed")
    options.add_argument("--long", action="store_true", help="also train for the notebook's 160 seconds")
    arguments = options.parse_args()
    rows = []
    notebook_seconds = 10 * notebook(conditional=False, epochs=2)["train_s"] / 2
    rows.append({"who": "notebook, 10 epochs", "seconds": notebook_seconds, "test loss": TARGET, "times faster": 1.0})
    if arguments.pythae:
        seconds, loss = pythae(arguments.pythae, 5)
        rows.append(
            {
                "who": "pythae, 5 epochs",
                "seconds": seconds,
                "test loss": loss,
                "times faster": notebook_seconds / seconds,
            }
        )
    for budget in [*BUDGETS, *([160.0] if arguments.long else [])]:
        # a long training can afford the larger batch, whose gradient is less noisy
        repeats, words = (1, ["--batch-size", "256"]) if budget > 100 else (arguments.repeats, [])
        done = [train("--latent-dim", "2", "--seconds", str(budget), *words, seed=seed) for seed in range(repeats)]
        seconds = median(d["train_seconds"] for d in done)
        loss = median(d["test"]["loss"] for d in done)
        met = loss <= TARGET
        rows.append(
            {
                "who": f"zatlas --seconds {budget:g}",
                "seconds": seconds,
                "test loss": loss,
                "times faster": notebook_seconds / seconds if met else None,
                "whole process s": median(d["process_seconds"] for d in done),
            }
        )
    rows = [{"whole process s": None, **row} for row in rows]
    rows = [{k: row.get(k) for k in ("who", "seconds", "test loss", "times faster", "whole process s")} for row in rows]
    show(f"Training time to {TARGET} nats on MNIST, z = 2, grey (medians)", rows, arguments.json)


if __name__ == "__main__":
    main()
