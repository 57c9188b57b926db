"""Priors fitted after training to where the codes of the data came to lie (Ghosh et al. 2020; Dai & Wipf 2019).

An autoencoder has no distribution over codes, and the codes of a VAE never lie quite as its prior says. A density
fitted to the aggregate posterior, the mean of q(z|x) over the data, lets the first sample and the second sample better.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self, TypedDict, Unpack

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialise

from zatlas.arrays import Array
from zatlas.distributions.gaussian import LOG_2PI
from zatlas.errors import UsageError, ZatlasError
from zatlas.files import write_bytes
from zatlas.latent.densities import FULL_UP_TO, Density, Flowing, Mixture
from zatlas.latent.frames import Scaled, White
from zatlas.latent.matched_flow import MatchedFlow
from zatlas.latent.probability_flow import Estimate

COMPONENTS = (1, 2, 4, 8, 16, 32, 64)
ROWS = 20_000  # codes used at most
HELD_OUT = 0.2  # of them, to choose by and to report
DENSITIES: dict[str, Any] = {"mixture": Mixture, "flow": Flowing, "flow-matching": MatchedFlow}


class Given(TypedDict, total=False):
    """What a density may be told beside the number of draws or the codes; its kind says which of it.

    y: labels ``[n, Y]``. guidance: towards them. steps: of a solver. probes: of an estimated trace.
    """

    y: Array | None
    guidance: float | None
    steps: int | None
    probes: int | None


class ExPostPrior:
    """A density over codes ``[N, D]``, fitted to the aggregate posterior.

    Args:
        white: to codes of mean 0 and variance 1, and back.
        density: of those.
        facts: how it was fitted and how good it is on codes held out: ``held_out_nats`` with its standard error,
            ``gaussian_nats`` of a single Gaussian and ``standard_normal_nats`` of N(0, I) on the same codes.
    """

    def __init__(self, white: White | Scaled, density: Density, facts: dict[str, Any]) -> None:
        self.white = white
        self.density = density
        self.facts = facts

    @property
    def kind(self) -> str:
        """Its name among :data:`zatlas.latent.EX_POST`."""
        return str(self.density.record["density"])

    @property
    def latent_dim(self) -> int:
        return len(self.white.centre)

    @property
    def label_dim(self) -> int:
        """Y, the number of label columns that it can be told; 0 of one that knows no labels."""
        return self.density.label_dim

    def wants_labels(self, named: object, guidance: float | None, *, classes: bool) -> bool:
        """Whether draws are given labels: those named, or every class in turn; else they are whatever the label.

        Args:
            named: what a person named; None: nothing.
            guidance: towards a label; 0 without a name is whatever the label, None is in turn where that can be.
            classes: whether there are classes to take in turn; real labels are told only where it is asked for.
        """
        return bool(self.label_dim) and (named is not None or bool(guidance) or (guidance is None and classes))

    def sample(self, n: int, seed: int = 0, **given: Unpack[Given]) -> Array:
        """n codes ``[n, D]``, float32; the same for the same seed.

        Args:
            n: how many.
            seed: of the draws.
            given: labels and the like, as the kind takes them; flow matching: see
                :meth:`zatlas.latent.matched_flow.MatchedFlow.sample`.

        Raises:
            UsageError: this kind takes no such thing.
        """
        return self.white.colour(self.density.sample(n, seed, **self._taken(given, self.density.sample))).astype(
            np.float32
        )

    def log_prob(self, z: Array, **given: Unpack[Given]) -> Array:
        """log p(z) ``[N]`` in nats, and given labels log p(z|y).

        Raises:
            UsageError: the codes are not ``[N, D]``; or this kind takes no labels.
        """
        told = self._taken(given, self.density.log_density)
        return self.density.log_prob(self._whitened(z), **told) - self.white.log_determinant

    def log_density(self, z: Array, **given: Unpack[Given]) -> Estimate:
        """The same with its errors: of densities that are known in closed form there are none.

        Returns:
            Arrays ``[N]`` in nats: :class:`zatlas.latent.probability_flow.Estimate`.

        Raises:
            UsageError: as for :meth:`log_prob`.
        """
        found = self.density.log_density(self._whitened(z), **self._taken(given, self.density.log_density))
        return found._replace(nats=found.nats - self.white.log_determinant)

    def to(self, device: torch.device) -> Self:
        """Computes there from now on, where that is faster."""
        self.density.to(device)
        return self

    def _whitened(self, z: Array) -> Array:
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise UsageError(f"the prior is over {self.latent_dim} units and the codes are {list(z.shape)}.")
        return self.white.whiten(np.asarray(z, np.float64))

    def _taken(self, given: Given, method: Callable[..., Any]) -> dict[str, Any]:
        """What is given, where this kind's method takes it."""
        told = {name: value for name, value in given.items() if value is not None}
        for name in told:
            if name not in inspect.signature(method).parameters:
                word = {"y": "label"}.get(name, name)
                raise UsageError(f"a {self.kind} takes no {word}: leave it out, or fit a prior of another kind.")
        return told

    def describe(self) -> str:
        """One line for people."""
        f = self.facts
        others = {"mixture_nats": "a mixture of Gaussians", "gaussian_nats": "one Gaussian"}
        others |= {"standard_normal_nats": "N(0, I)"}
        beside = [f"{f[name]:.1f} of {word}" for name, word in others.items() if name in f]
        apart = f"{', '.join(beside[:-1])} and {beside[-1]}" if len(beside) > 1 else beside[0]
        return f"{f['name']}, held-out {f['held_out_nats']:.1f} nats against {apart}"

    def save(self, path: str | Path) -> Path:
        """Writes one safetensors file, whole or not at all.

        Raises:
            ZatlasError: it could not be written.
        """
        tensors = {f"white.{name}": values for name, values in self.white._asdict().items()}
        tensors |= {f"density.{name}": values for name, values in self.density.tensors().items()}
        tensors = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
        record = {"density": self.density.record, "facts": self.facts}
        sealed = json.dumps({**record, "sha256": _seal(record, tensors)})
        write_bytes(Path(path), serialise(tensors, {"prior": sealed}))  # one entry: more come in no order
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> ExPostPrior:
        """The prior in a file, its checksum verified.

        Raises:
            ZatlasError: the file is missing, cut short, altered, or no prior.
        """
        if not Path(path).is_file():
            raise ZatlasError(f"the prior {path} is missing.")
        try:
            with safe_open(path, "numpy") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        except OSError as error:
            raise ZatlasError(f"the prior {path} cannot be read: {error.strerror or error}.") from None
        except SafetensorError as error:
            raise ZatlasError(f"the prior {path} is damaged ({error}).") from None
        if "prior" not in metadata:
            raise ZatlasError(f"{path} is no prior: fit one, or name the file of one.")
        try:
            record = json.loads(metadata["prior"])
            intact = record.pop("sha256") == _seal(record, tensors)
        except (ValueError, KeyError):
            intact = False
        if not intact:
            raise ZatlasError(f"the prior {path} is damaged: its checksum is not the one recorded.")
        within = lambda prefix: {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}
        density = DENSITIES[record["density"]["density"]].of(record["density"], within("density."))
        white = within("white.")
        return cls(White(**white) if "axes" in white else Scaled(**white), density, record["facts"])


def _seal(record: dict[str, Any], tensors: dict[str, Array]) -> str:
    digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode())
    for name, values in sorted(tensors.items()):
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


class _Codes(NamedTuple):
    """Codes to fit and codes held out, white and as they are."""

    white: White
    fit: Array
    held: Array
    held_z: Array


def _codes(mean: Array, std: Array | None, seed: int) -> _Codes:
    """One draw from the posterior of each row, at most ``ROWS`` of them, in two parts."""
    check_codes(mean, std)
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(mean))[:ROWS]
    z = mean[rows].astype(np.float64)
    if std is not None:
        z += std[rows] * rng.standard_normal(z.shape)
    held = math.ceil(HELD_OUT * len(z))
    least = z.shape[1] + 2
    if len(z) - held < least:
        raise ZatlasError(
            f"{len(z)} codes are too few for a density over {z.shape[1]} units: "
            f"encode at least {math.ceil(least / (1 - HELD_OUT)) + 1} examples."
        )
    white = White.of(z[held:])
    return _Codes(white, white.whiten(z[held:]), white.whiten(z[:held]), z[:held])


def check_codes(mean: Array, std: Array | None) -> None:
    """Raises:
    UsageError: no means ``[N, D]``, or deviations of another shape.
    ZatlasError: values that are not finite.
    """
    if mean.ndim != 2 or (std is not None and std.shape != mean.shape):
        shapes = [list(values.shape) for values in (mean, std) if values is not None]
        raise UsageError(f"codes want means [N, D] and deviations of the same shape: these are {shapes}.")
    for values in (mean, std):
        if values is not None and not (finite := np.isfinite(values).all(1)).all():
            raise ZatlasError(
                f"the codes hold NaN or infinity, first in row {int(finite.argmin())}: the model is broken."
            )


def _prior(codes: _Codes, density: Density, single: Mixture, facts: dict[str, Any]) -> ExPostPrior:
    """The prior with what it gives the codes held out."""
    scores = density.log_prob(codes.held) - codes.white.log_determinant
    gaussian = single.log_prob(codes.held) - codes.white.log_determinant
    standard = -0.5 * (LOG_2PI + codes.held_z**2).sum(1)
    figures = {
        "held_out_nats": float(scores.mean()),
        "held_out_error_nats": float(scores.std(ddof=1) / math.sqrt(len(scores))),
        "gaussian_nats": float(gaussian.mean()),
        "standard_normal_nats": float(standard.mean()),
    }
    counts = {"fitted_rows": len(codes.fit), "held_out_rows": len(codes.held)}
    return ExPostPrior(codes.white, density, {**facts, **figures, **counts})


def fit_mixture(mean: Array, std: Array | None = None, *, components: int | None = None, seed: int = 0) -> ExPostPrior:
    """A mixture of Gaussians fitted to one draw from the posterior of each example.

    Up to 32 units covariances are full, beyond they are diagonal along the principal axes of all codes. At most
    ``ROWS`` codes are used, chosen by the seed; ``facts`` say how many.

    Args:
        mean: posterior means ``[N, D]``.
        std: posterior standard deviations ``[N, D]``; None for an autoencoder's codes.
        components: M, 1 for a single Gaussian. None: of 1, 2, 4, ..., 64 the fewest whose log-likelihood on a fifth of
            the codes, held out, is within one standard error of the best (Breiman et al. 1984, section 3.4.3), which
            keeps to the known number where twice as many do as well.
        seed: of draws and starts.

    Raises:
        UsageError: arrays of other shapes, or more components than codes.
        ZatlasError: codes that are not finite, too few, or all the same.
    """
    codes = _codes(mean, std, seed)
    count, dim = codes.fit.shape
    if components is not None and not 1 <= components <= count:
        raise UsageError(f"{components} components cannot be fitted to {count} codes: give 1 to {count}.")
    most = count // (2 * min(dim, FULL_UP_TO))  # with fewer codes than that a component fits itself
    wanted = [m for m in COMPONENTS if m == 1 or m <= most] if components is None else [components]
    single = Mixture.fitted(codes.fit, 1, seed)
    tried: dict[int, tuple[Mixture, Array]] = {}
    for m in wanted:
        found = single if m == 1 else Mixture.fitted(codes.fit, m, seed)
        tried[m] = found, found.log_prob(codes.held)
        means = [scores.mean() for _, scores in tried.values()]
        if len(means) > 2 and max(means[-2:]) < max(means):
            break  # two in a row were worse than the best
    chosen = _fewest({m: scores for m, (_, scores) in tried.items()})
    facts = {
        "name": "one Gaussian" if chosen == 1 else f"mixture of {chosen} Gaussians",
        "components": chosen,
        "covariance": "full" if tried[chosen][0].full else "diagonal",
        "tried_nats": {str(m): float(s.mean()) - codes.white.log_determinant for m, (_, s) in tried.items()},
    }
    return _prior(codes, tried[chosen][0], single, facts)


def _fewest(scores: dict[int, Array]) -> int:
    """The fewest components within one standard error, over pairs, of the best."""
    best = max(scores.values(), key=np.mean)
    behind = {m: best - own for m, own in scores.items()}
    return min(m for m, gap in behind.items() if gap.mean() <= gap.std() / math.sqrt(len(gap)))


def fit_flow(
    mean: Array, std: Array | None = None, *, layers: int = 8, hidden: int = 256, steps: int = 600, seed: int = 0
) -> ExPostPrior:
    """A normalising flow fitted to one draw from the posterior of each example, after their whitening.

    Args:
        mean: posterior means ``[N, D]``.
        std: posterior standard deviations ``[N, D]``; None for an autoencoder's codes.
        layers: couplings.
        hidden: width of each one's net.
        steps: of 512 codes each.
        seed: of draws, weights and batches.

    Raises:
        UsageError: arrays of other shapes.
        ZatlasError: codes that are not finite, too few, or all the same.
    """
    codes = _codes(mean, std, seed)
    density = Flowing.fitted(codes.fit, codes.held, layers=layers, hidden=hidden, steps=steps, seed=seed)
    facts = {"name": f"flow of {layers} couplings", "layers": layers, "hidden": hidden, "steps": steps}
    return _prior(codes, density, Mixture.fitted(codes.fit, 1, seed), facts)
