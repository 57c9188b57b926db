"""Where validation and training part: what a run says of its own overfitting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zatlas.training.overfitting import WORSE


def parting(lines: Sequence[dict[str, Any]], used: int) -> str | None:
    """The step from which on the validation loss was worse, in a sentence; None where it was best at the end.

    Args:
        lines: of metrics.jsonl.
        used: the step whose weights the run is opened with.

    >>> validation = [{"split": "validation", "step": step, "loss": loss} for step, loss in ((10, 5.0), (20, 8.0))]
    >>> training = [{"split": "train", "step": step, "loss": loss} for step, loss in ((10, 4.5), (20, 4.0))]
    >>> print(parting(validation + training, 10))
    The validation loss was lowest at step 10 (5.00 nats) and rose after it, to 8.00 at step 20, while the training loss went from 4.50 to 4.00. The weights of step 10 are used.
    """  # noqa: E501
    point = lambda line: (line["step"], line["loss"])
    held_out = [point(line) for line in lines if line["split"] == "validation" and "loss" in line]
    trained = [point(line) for line in lines if line["split"] == "train" and "loss" in line]
    if not held_out or not trained:
        return None
    step, lowest = min(held_out, key=lambda at: (at[1], -at[0]))
    if step == held_out[-1][0]:
        return None
    kept = f"The weights of step {used:,} are used."
    near = lambda wanted: min(trained, key=lambda at: abs(at[0] - wanted))[1]
    # at the start of a shorter schedule both losses are those of the first weights, which is no overfitting
    parted = [at for at in held_out if at[0] > step and near(at[0]) <= near(step)]
    worst, highest = max(parted, key=lambda at: at[1], default=(step, lowest))
    if highest < lowest + WORSE * abs(lowest):
        end = held_out[-1][1]
        return f"The validation loss was lowest at step {step:,} ({lowest:.2f} nats; {end:.2f} at the end). {kept}"
    return (
        f"The validation loss was lowest at step {step:,} ({lowest:.2f} nats) and rose after it, to {highest:.2f} at "
        f"step {worst:,}, while the training loss went from {near(step):.2f} to {near(worst):.2f}. {kept}"
    )
