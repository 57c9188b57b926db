"""Training from Python in one line, with the words and the progress of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from zatlas import recipes
from zatlas.config.words import configuration
from zatlas.console import say
from zatlas.data.own import own_source
from zatlas.errors import UsageError
from zatlas.networks.foreign import Head, Output
from zatlas.runs.data import open_data
from zatlas.runs.opened import Run
from zatlas.runs.training import train as train_config
from zatlas.training import Watcher
from zatlas.training.progress import TrainingProgress


def train(
    data: Any,
    *,
    model: str | None = None,
    objective: Any = None,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    head: Head | None = None,
    output: Output | None = None,
    start: recipes.Given | None = None,
    preset: str | None = None,
    out: str | Path | None = None,
    log: str | Sequence[str] = (),
    watchers: Sequence[Watcher] = (),
    verbose: bool = True,
    **values: Any,
) -> Run:
    """Trains a model on data into a run folder, and opens it.

    Args:
        data: a name (``"digits"``, ``"mnist"``, ...) or a path, as on the command line; or an array ``[N, ...]``, a
            pair (X, y), a torch Dataset or DataLoader, a ``datasets.Dataset``.
        model: ``"vae"``, ``"cvae"``, ``"ladder"``, ...: ``zatlas models`` lists them; None: that of the preset, else a
            VAE.
        objective: ``"elbo"``, ``"iwae"``, ...; a class or an object of your own
            (:class:`zatlas.objectives.Objective`), or its place, ``"package.module:Class"``; None: what suits the
            model. ``likelihood``, ``prior``, ``posterior`` and ``network`` take the same.
        encoder, decoder: modules of your own in the place of a network; their weights are where training starts. Where
            they can be written down as a graph the run holds no code of theirs.
        head: of the encoder's numbers; None: by what it gives (:class:`zatlas.networks.foreign.ForeignEncoder`).
        output: of the decoder, ``"logits"`` or ``"mean"``; None: means where it ends in a sigmoid.
        start: whose weights to start from, and what they are weights of: what :func:`zatlas.importers.start` gives.
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
    words = {"model": model, "objective": objective, **values}
    named = isinstance(data, str | Path)
    source = None if named else own_source(data, labels=values.get("labels"))
    given = recipes.adopted({**words, "source": str(data)} if named else words)
    if (encoder is None) != (decoder is None):
        raise UsageError("encoder and decoder go together: give both.")
    tell = say if verbose else lambda sentence: None
    if encoder is not None and decoder is not None:
        if named:
            source, _ = open_data(configuration(_of_data(given.words), who="the arguments", preset_name=preset))
        assert source is not None
        given = recipes.adopt_modules(given, encoder, decoder, source.spec, head=head, output=output)
        source = None if named else source
    given = given if start is None else given.begun_from(start)
    config = configuration(given.words, who="the arguments", preset_name=preset)
    progress = TrainingProgress(quiet=not verbose)
    try:
        names = [log] if isinstance(log, str) else log
        folder = None if out is None else Path(out)
        watching = [progress, *watchers]
        return train_config(config, out=folder, watchers=watching, log=names, say=tell, source=source, given=given)
    finally:
        progress.close()


def _of_data(words: dict[str, Any]) -> dict[str, Any]:
    """The words that are about data."""
    from zatlas.config import DataConfig

    return {word: value for word, value in words.items() if word in DataConfig.model_fields}
