"""A run behind the page: its model, and what was worked out of it once for all questions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError, printable
from zatlas.explorer import forms
from zatlas.explorer.packing import pack
from zatlas.explorer.questions import QUESTIONS, Answer
from zatlas.latent import ExPostPrior, draw_codes, fit_mixture
from zatlas.latent.codes import decoded_means
from zatlas.latent.properties import ground_of
from zatlas.runs.opened import Run
from zatlas.walks.attributes import columns

POINTS = 70_000
FIRST = 4000  # of them are asked for at once, and all later
FEW_VALUES = 20  # a factor of at most so many is coloured as classes are
DENSITY_ROWS = 4000  # 20,000, as `zatlas prior` takes, are fitted in 38 s at 16 units, and these in 6
TYPICAL = (0.01, 0.05, 0.5, 0.95)  # quantiles of the log density of the data's codes


class Explored:
    """A run behind the page.

    Args:
        run: an opened run.
        points: codes of at most so many training examples are shown.
    """

    def __init__(self, run: Run, points: int = POINTS) -> None:
        self.run = run
        self.points = points
        self.opening = Lock()
        self.kept: dict[int, Answer] = {}
        self.prior: ExPostPrior | None = None
        self.density: tuple[Callable[[Array], Array], Array] | None = None

    def warm(self) -> None:
        """Works out what the page asks first, so that it opens at once; libraries are loaded by the way.

        Raises:
            UsageError, ZatlasError: the data are gone or damaged.
        """
        self.ask("about", {})
        self.ask("codes", {"n": FIRST})
        self.decoded(self.some[:2], None)

    def ask(self, name: str, values: Any) -> bytes:
        """The packed answer to a question.

        Raises:
            UsageError: a question that is not there, or values out of its form.
            ZatlasError: what the run cannot answer.
        """
        if name not in QUESTIONS:
            raise UsageError(f"there is no question {name[:60]!r}.")
        asked = QUESTIONS[name]
        return pack(*asked.answer(self, forms.filled(asked.form, values)))

    def renew(self) -> None:
        """Opens the newest weights of a run that is still being trained."""
        with self.opening:
            self.run = Run(self.run.folder.path, device=self.run.device, data=self.run.data, say=self.run.say)
            self.density, self.prior = None, None
            self.kept.clear()
            for name in ("some", "still", "range", "dark"):
                self.__dict__.pop(name, None)

    @property
    def abilities(self) -> dict[str, str]:
        """What this model cannot do, and why, each a sentence; what is not named it can."""
        run, cannot = self.run, {}
        kind = f"A {run.config.model.kind}"
        if not run.kind.infers:
            no_encoder = f"{kind} has no encoder, so that it cannot say which code made an image"
            cannot["encode"] = f"{no_encoder}; what is on the map are draws from its prior."
            cannot["codes"] = f"{no_encoder}; the points are draws from its prior."
            cannot["density"] = cannot["reencode"] = f"{no_encoder}, and there are no codes of data to compare with."
            cannot["examples"] = cannot["codes"]
            cannot["directions"] = f"{no_encoder}: there are no groups of examples to go between."
        elif not run.has_data:
            cannot["examples"] = "The run does not hold its data."
            cannot["codes"] = "The run does not hold its data; the points are draws from the prior."
            cannot["directions"] = "The run does not hold its data, so that there are no examples to make groups of."
            cannot["density"] = "The run does not hold its data, to whose codes a density could be fitted."
        if not run.kind.axes:
            words = "The codes are words of a codebook: they have no axes, and what lies between them means little."
            cannot |= dict.fromkeys(("units", "density", "spherical"), words)
        if len(run.code_shape) > 1:
            cannot["units"] = (
                f"The code is a map of {run.code_size} units, too many for sliders: zatlas describe and zatlas "
                "traverse show its channels and places."
            )
        if run.kind.infers and not (run.has_standard_prior and run.has_diagonal_posterior):
            cannot["lessons"] = (
                "The lessons are about a posterior that is a Gaussian with independent units, and a prior that is "
                "N(0, I): this model has others."
            )
        elif not run.kind.infers:
            cannot["lessons"] = f"{kind} has no encoder, and so no posterior that the lessons could be about."
        if not run.spec.is_image:
            cannot["draw"] = "The data are no images, so that none can be drawn or dropped."
        return cannot

    @property
    def standard_prior(self) -> bool:
        run = self.run
        return len(run.model.latent_dims) == 1 and run.kind.axes and not run.kind.point

    @cached_property
    def some(self) -> Array:
        """A few codes ``[N, D]`` of the data or else of the prior."""
        run = self.run
        if run.kind.infers and run.has_data:
            return run.encode(run.spread("train", 64)).mean
        if run.kind.point:
            return np.random.default_rng(0).standard_normal((64, run.latent_dim)).astype(np.float32)
        return draw_codes(run.model, 64, run.labels_for(64), device=run.device)

    @cached_property
    def still(self) -> Array:
        return self.decoded(self.some, None)

    @cached_property
    def range(self) -> tuple[float, float]:
        """Values shown as black and white: 0 and 1, or where the middle of real values lies."""
        if self.run.spec.values != "real":
            return 0.0, 1.0
        low, high = (float(edge) for edge in np.quantile(self.still, (0.002, 0.998)))
        return low, high if high > low else low + 1.0

    @cached_property
    def dark(self) -> bool:
        """Whether what is drawn stands on a dark ground."""
        if not self.run.spec.is_image:
            return True
        low, high = self.range
        ground = ground_of(self.still)
        if ground is None:
            return float(self.still.mean()) < (low + high) / 2
        return float(np.mean((ground - low) / (high - low))) < 0.5

    def codes(self, wanted: int) -> tuple[dict[str, Any], dict[str, Array | None]]:
        run = self.run
        if not (run.kind.infers and run.has_data):
            n = min(wanted, 2000)
            y = run.labels_for(n)
            z = self.some if run.kind.point else draw_codes(run.model, n, y, device=run.device)
            return {"of": "draws from the prior", "split": None, "factors": []}, {"mean": z, "labels": self.numbers(y)}
        rows = run.spread("train", min(wanted, self.points))
        found = run.encode(rows)
        arrays: dict[str, Array | None] = {"mean": found.mean, "rows": rows.astype(np.int32)}
        if not run.kind.point and run.kind.axes:
            arrays["std"] = found.std
        arrays["labels"] = self.numbers(found.y)
        names = [name for name in columns(run) if run.spec.label_kind != "real" or name not in run.spec.labels]
        factors = []
        table = run.source.factors
        for name in names:
            column = table[:, run.source.factor_names.index(name)] if table is not None else None
            if column is None:
                continue
            few = len(np.unique(column)) <= FEW_VALUES
            factors.append({"name": printable(name)[:200], "classes": bool(few)})
            arrays[f"factor{len(factors) - 1}"] = column[rows].astype(np.int32 if few else np.float32)
        return {"of": f"{len(rows):,} training examples", "split": "train", "factors": factors}, arrays

    def numbers(self, y: Array | None) -> Array | None:
        numbers = self.run.label_numbers(y)
        if numbers is None:
            return None
        return numbers.astype(np.int32 if self.run.spec.label_kind == "class" else np.float32)

    def labels(self, labels: list[int] | None, n: int) -> Array | None:
        """Labels ``[n, Y]`` for a conditional model: those given, or else the first class."""
        run = self.run
        if not run.kind.conditional:
            return None
        if run.spec.label_kind != "class":
            return np.zeros((n, run.spec.label_dim), np.float32)
        numbers = labels or [0]
        if max(numbers) >= run.spec.label_dim:
            raise UsageError(f"there is no class number {max(numbers)}: they go from 0 to {run.spec.label_dim - 1}.")
        if len(numbers) not in (1, n):
            raise UsageError(f"{len(numbers)} labels do not go with {n} codes: give one, or one each.")
        y: Array = np.eye(run.spec.label_dim, dtype=np.float32)[np.resize(numbers, n)]
        return y

    def image(self, values: list[float]) -> Array:
        """An image ``[1, *data]`` in the units of the data, from values between black (0) and white (1)."""
        spec = self.run.spec
        if len(values) != spec.size:
            raise UsageError(f"an image of this model has {spec.size} values, and {len(values)} were sent.")
        low, high = self.range
        x: Array = low + np.asarray(values, np.float32).reshape(1, *spec.shape) * (high - low)
        return x.astype(np.float32)

    def checked(self, z: list[list[float]] | Array) -> Array:
        """Codes ``[N, D]`` of this model."""
        if any(len(code) != self.run.latent_dim for code in z):
            raise UsageError(f"a code of this model has {self.run.latent_dim} numbers.")
        return np.asarray(z, np.float32)

    def decoded(self, z: Array, y: Array | None) -> Array:
        if y is None:
            y = self.labels(None, len(z))
        return decoded_means(self.run.model, z, y, device=self.run.device, precision=self.run.precision)

    def fitted(self) -> tuple[Callable[[Array], Array], Array]:
        """The log density of the aggregate posterior, and its quantiles over codes of the data."""
        if (sentence := self.abilities.get("density")) is not None:
            raise UsageError(sentence)
        with self.opening:
            if self.density is None:
                run = self.run
                codes = run.encode(run.spread("train", DENSITY_ROWS))
                prior = run.ex_post_prior("mixture") if run.has_prior() else fit_mixture(codes.mean, codes.std)
                self.prior = prior
                drawn = codes.mean + codes.std * np.random.default_rng(0).standard_normal(codes.mean.shape)
                self.density = prior.log_prob, np.quantile(prior.log_prob(drawn), TYPICAL)
            return self.density
