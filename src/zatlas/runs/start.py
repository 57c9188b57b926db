"""Training from Python in one line, with the words and the progress of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zatlas.config.words import configuration
from zatlas.console import say
from zatlas.runs.opened import Run
from zatlas.runs.training import train as train_config
from zatlas.training import Watcher
from zatlas.training.progress import TrainingProgress


def train(
    data: str | Path,
    *,
    model: str | None = None,
    objective: str | None = None,
    preset: str | None = None,
    out: str | Path | None = None,
    log: str | Sequence[str] = (),
    watchers: Sequence[Watcher] = (),
    verbose: bool = True,
    **values: Any,
) -> Run:
    """Trains a model on named data, or data of a path, into a run folder, and opens it.

    Args:
        data: a name (``"digits"``, ``"mnist"``, ...) or a path, as on the command line.
        model: ``"vae"``, ``"cvae"``, ``"ladder"``, ``"ae"``, ``"vqvae"``, ``"gan"``, ``"cgan"``, ``"ppca"``, ``"fa"``;
            None: that of the preset, else a VAE.
        objective: ``"elbo"``, ``"iwae"``, ...; None: what suits the model.
        preset: a named bundle of values, over which the others go.
        out: the run folder; None: a new one under ``runs/``.
        log: trackers that get its figures: ``"tensorboard"``, ``"mlflow"``, ``"wandb"``, ``"package.module:Class"``.
        watchers: of your own, told of every step, record and validation (:class:`zatlas.training.Watcher`).
        verbose: whether progress goes to stderr.
        values: any key of the configuration, without its section: ``latent_dim=16, beta=4.0, epochs=10``;
            ``resize=64`` makes squares, as on the command line.

    Raises:
        UsageError: an unknown key (the nearest known one is named), or a combination that cannot be.
        ZatlasError: data, disk or numbers that refuse.

    >>> train("digits", latent_dims=2)
    Traceback (most recent call last):
      ...
    zatlas.errors.UsageError: there is no key latent_dims; did you mean latent_dim?
    """
    words = {"source": str(data), "model": model, "objective": objective, **values}
    config = configuration(words, who="the arguments", preset_name=preset)
    progress = TrainingProgress(quiet=not verbose)
    try:
        tell = say if verbose else lambda sentence: None
        names = [log] if isinstance(log, str) else log
        folder = None if out is None else Path(out)
        return train_config(config, out=folder, watchers=[progress, *watchers], log=names, say=tell)
    finally:
        progress.close()
