"""The densities that were fitted to a run's codes: where they lie, whose they are, and how they are fitted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from zatlas.errors import UsageError, ZatlasError
from zatlas.latent import ExPostPrior, Place, fit_ex_post, forget, need_kind
from zatlas.training import Watcher
from zatlas.training.checkpoint import name_of as checkpoint_name

if TYPE_CHECKING:
    from zatlas.runs.opened import Run


def path_of(run: Run, kind: str) -> Path:
    """Of the weights that are open."""
    return run.folder.path / "priors" / f"{kind}-{checkpoint_name(run.step)}.safetensors"


def place_of(run: Run, kind: str, seed: int = 0, watchers: Sequence[Watcher] = ()) -> Place:
    """Where a prior is fitted; its state on the way is in a hidden folder beside the file that it will have."""
    path = path_of(run, kind)
    return Place(seed, run.device, path.with_name(f".{path.stem}"), watchers, run.say)


def found(run: Run, kind: str) -> ExPostPrior:
    """See :meth:`zatlas.runs.opened.Run.ex_post_prior`."""
    path = path_of(run, kind)
    if path.is_file():
        prior = ExPostPrior.load(path)
        _check_whose(run, prior, path)
        return prior.to(run.device)
    fitted = _fitted(run, kind)
    try:
        fitted.save(path)
        forget(place_of(run, kind).folder)
    except ZatlasError as error:
        run.say(f"The {kind} is used here and not kept: {error}")
    return fitted


def fit(run: Run, kind: str, **options: Any) -> ExPostPrior:
    """See :meth:`zatlas.runs.opened.Run.fit_prior`."""
    fitted = _fitted(run, kind, **options)
    try:
        fitted.save(path_of(run, kind))
    except ZatlasError:
        run.say(f"Found {fitted.describe()}.")
        raise
    forget(place_of(run, kind).folder)
    return fitted


def _fitted(
    run: Run,
    kind: str,
    *,
    seed: int = 0,
    rows: int | None = None,
    watchers: Sequence[Watcher] = (),
    **options: Any,
) -> ExPostPrior:
    run.need_inference("codes that a prior could be fitted to")
    wanted = need_kind(kind, [name for name, value in options.items() if value is not None])
    if not run.kind.axes:
        raise UsageError(f"the codes of {run.folder.path} are words of a codebook and have a prior of their own.")
    place = place_of(run, kind, seed, watchers)
    codes = run.encode(run.spread("train", rows or wanted.rows(run.latent_dim)))
    run.say(f"Fitting a {kind} to {len(codes.mean):,} codes, for {path_of(run, kind).parent}.")
    fitted = fit_ex_post(kind, codes, run.code_shape, place, **options)
    fitted.facts["weights_sha256"] = weights_sha256(run)
    return fitted


def _check_whose(run: Run, prior: ExPostPrior, path: Path) -> None:
    """Raises:
    ZatlasError: it was fitted to the codes of another model.
    """
    whose = "it belongs to another run; remove it, and fit one with `zatlas prior`"
    if prior.latent_dim != run.latent_dim:
        raise ZatlasError(
            f"the prior {path} is over {prior.latent_dim} units and the codes of this model have {run.latent_dim}: "
            f"{whose}."
        )
    known = prior.facts.get("weights_sha256")  # not of priors from before 0.3, nor of those that an estimator fitted
    if known and known != weights_sha256(run):
        raise ZatlasError(f"the prior {path} was fitted to the codes of other weights than these: {whose}.")


def weights_sha256(run: Run) -> str:
    """Of the model's weights, by which a prior knows whose codes it was fitted to."""
    digest = hashlib.sha256()
    for name, tensor in sorted(run.game.state_dict().items()):
        if not name.startswith("model."):
            continue
        digest.update(f"{name} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
