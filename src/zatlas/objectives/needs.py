"""What an objective may need of the posterior and the prior, and the sentences that say so."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from zatlas.parts import SORTS, Part

Rate = Literal["auto", "closed"]
RATE: Any = Field("auto", description="closed: refuse where the rate has no formula")


def _quoted(names: list[str]) -> str:
    return " or ".join(map(repr, names))


def _having(sort: str, *traits: str) -> str:
    """The names of the parts of a sort that have these traits."""
    return _quoted([part.name for part in SORTS[sort].parts() if part.has(*traits)])


def _part(config: Any, sort: str) -> Part | None:
    settings = getattr(config, sort)
    return None if settings is None else SORTS[sort].get(settings.kind)


def closed_rate(config: Any) -> bool:
    """Whether KL(q(z|x) || p(z)) has a formula."""
    posterior, prior = _part(config, "posterior"), _part(config, "prior")
    return posterior is not None and prior is not None and posterior.has("gaussian") and prior.has("gaussian")


def needs_closed_rate(config: Any, objective: str) -> None:
    """Refuses where ``rate = "closed"`` is asked for and there is no formula."""
    if config.objective.rate != "closed":
        return
    if not closed_rate(config):
        q, p = config.posterior, config.prior
        pair = f"a {q.kind} posterior, a {p.kind} prior and objective {objective}" if q and p else "this model"
        goes = [part.name for part in SORTS["objective"].parts() if part.facts.get("closed_rate")]
        raise ValueError(
            f"objective.rate = 'closed' has no formula for {pair}: closed forms are those of a "
            f"{_having('posterior', 'gaussian')} posterior with a {_having('prior', 'gaussian')} prior, for "
            f"{', '.join(goes)}; leave objective.rate at 'auto'"
        )


def needs_units(config: Any, what: str) -> None:
    """Refuses where posterior and prior do not factorise over units."""
    posterior, prior = _part(config, "posterior"), _part(config, "prior")
    if posterior is None or prior is None:
        return
    if not (posterior.has("by_unit") and prior.has("gaussian")):
        raise ValueError(
            f"{what} each unit by itself and wants posterior.kind = {_having('posterior', 'by_unit')} with "
            f"prior.kind = {_having('prior', 'gaussian')}, not '{posterior.name}' with '{prior.name}'"
        )


def needs_fixed_posterior(config: Any) -> None:
    """Refuses a posterior whose parameters cannot be held still, and more than one layer of z."""
    model, posterior = SORTS["model"].get(config.model.kind), _part(config, "posterior")
    if not model.has("one_level"):
        raise ValueError(
            "the doubly reparameterised gradient and sticking the landing are there for one layer of z: choose "
            f"model.kind = {_having('model', 'one_level', 'rate')}, or leave them out"
        )
    if posterior is not None and not posterior.has("gaussian"):
        raise ValueError(
            "the doubly reparameterised gradient and sticking the landing want the posterior's parameters held still: "
            f"choose posterior.kind = {_having('posterior', 'gaussian')}, not '{posterior.name}'"
        )


def needs_fixed_prior(config: Any, objective: str) -> None:
    """Refuses a prior that is learned."""
    prior = _part(config, "prior")
    if prior is not None and not prior.has("gaussian"):
        raise ValueError(
            f"objective.kind = '{objective}' moves the codes towards the prior and would never move a learned one: "
            f"choose prior.kind = {_having('prior', 'gaussian')}, not '{prior.name}'"
        )
