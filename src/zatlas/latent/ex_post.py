"""Ex-post priors by name."""

from __future__ import annotations

from zatlas.errors import UsageError, nearest
from zatlas.latent.aggregate import ExPostPrior, fit_flow, fit_mixture
from zatlas.latent.codes import Codes

EX_POST = ("mixture", "flow")


def fit_ex_post(kind: str, codes: Codes, *, components: int | None = None, seed: int = 0) -> ExPostPrior:
    """A mixture of Gaussians, or a flow, fitted to one draw from each posterior.

    Args:
        kind: ``"mixture"`` or ``"flow"``.
        codes: posterior means and deviations ``[N, D]``.
        components: of the mixture; None: as many as held-out codes want.
        seed: of the draws.

    Raises:
        UsageError: another kind, or components of a flow.
    """
    if kind not in EX_POST:
        raise UsageError(f"there is no ex-post prior {kind!r}; {nearest(kind, EX_POST)}")
    if kind == "mixture":
        return fit_mixture(codes.mean, codes.std, components=components, seed=seed)
    if components is not None:
        raise UsageError("components are those of a mixture, and a flow has none: leave them out.")
    return fit_flow(codes.mean, codes.std, seed=seed)
