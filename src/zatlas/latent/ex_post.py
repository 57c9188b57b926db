"""Ex-post priors by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

from zatlas.errors import UsageError, nearest
from zatlas.latent.aggregate import ExPostPrior, fit_flow, fit_mixture
from zatlas.latent.codes import Codes
from zatlas.latent.matching import HERE, Place, Training, fit_flow_matching


class Fits(Protocol):
    """Fits a density to codes of a shape, at a place; further keywords are its options."""

    def __call__(self, codes: Codes, shape: tuple[int, ...], place: Place, **options: Any) -> ExPostPrior: ...


@dataclass(frozen=True)
class ExPost:
    """A kind of prior that is fitted after training.

    Attributes:
        when: to use it, one line.
        fit: how.
        options: what ``fit`` takes beside codes.
        labels: whether it learns the density given the codes' labels, where they have some.
        rows: at most so many codes are asked for, by their number of units.
        source: the paper.
        about: its options, in a sentence.
    """

    when: str
    fit: Fits
    options: tuple[str, ...] = ()
    labels: bool = False
    rows: Callable[[int], int] = lambda units: 20_000
    source: str = ""
    about: str = ""


def _mixture(codes: Codes, shape: tuple[int, ...], place: Place, **options: Any) -> ExPostPrior:
    return fit_mixture(codes.mean, codes.std, seed=place.seed, **options)


def _flow(codes: Codes, shape: tuple[int, ...], place: Place, **options: Any) -> ExPostPrior:
    return fit_flow(codes.mean, codes.std, seed=place.seed, **options)


def _flow_matching(codes: Codes, shape: tuple[int, ...], place: Place, **options: Any) -> ExPostPrior:
    return fit_flow_matching(codes, shape, Training(**options), place)


EX_POST: dict[str, ExPost] = {
    "mixture": ExPost(
        "few units, or a first look: seconds", _mixture, ("components",), source="Ghosh et al. 2020, section 3"
    ),
    "flow": ExPost("a row of units that no mixture follows: exact densities", _flow, source="Dinh et al. 2017"),
    "flow-matching": ExPost(
        "maps of codes and many units, and draws given a label: minutes, better the longer",
        _flow_matching,
        tuple(field.name for field in fields(Training)),
        labels=True,
        rows=lambda units: max(20_000, 2**27 // units),  # half a gigabyte of means, and as much of deviations
        source="Lipman et al. 2023; Ho & Salimans 2022",
        about="Training: --steps, --seconds; in Python width, blocks, batch_size, learning_rate. Sampling: --label, "
        "--guidance, --steps.",
    ),
}


def need_kind(kind: str, options: Sequence[str] = ()) -> ExPost:
    """The kind of that name, which takes these options.

    Raises:
        UsageError: there is none; or an option of another kind.
    """
    if kind not in EX_POST:
        raise UsageError(f"there is no ex-post prior {kind!r}; {nearest(kind, EX_POST)}")
    for option in options:
        if option not in EX_POST[kind].options:
            whose = [name for name, other in EX_POST.items() if option in other.options]
            of = f"are those of a {' or a '.join(whose)}" if whose else "are unknown"
            raise UsageError(f"{option} {of}, and a {kind} has none: leave them out.")
    return EX_POST[kind]


def fit_ex_post(
    kind: str, codes: Codes, shape: tuple[int, ...] | None = None, place: Place = HERE, **options: Any
) -> ExPostPrior:
    """A density of the codes, fitted to draws from the posteriors.

    Args:
        kind: a name of ``EX_POST``.
        codes: posterior means and deviations ``[N, D]``, and labels.
        shape: of a code, ``(C, h, w)`` of a map; None: a row.
        place: seed, device, and where a long fit is kept on its way.
        options: of that kind; those that are None are left out. Of a mixture ``components`` (None: as many as held-out
            codes want); of flow matching the fields of :class:`zatlas.latent.matching.Training`.

    Raises:
        UsageError: another kind, or an option that it has not.
    """
    told = {name: value for name, value in options.items() if value is not None}
    return need_kind(kind, list(told)).fit(codes, shape or codes.mean.shape[1:], place, **told)
