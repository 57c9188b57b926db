"""A run that answers questions: all that the page asks, whether over HTTP, from a notebook, or once for a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import torch

from zatlas.arrays import Array
from zatlas.data import evenly_spaced
from zatlas.errors import UsageError, printable
from zatlas.evaluation import estimate_elbo
from zatlas.explorer import forms
from zatlas.explorer.packing import pack
from zatlas.latent import Direction, ExPostPrior, draw_codes, fit_mixture, paths, unit_names
from zatlas.latent.codes import decoded_means
from zatlas.latent.directions import check_name
from zatlas.latent.local import magnification, singular_directions
from zatlas.latent.properties import ground_of
from zatlas.latent.separating import fit_direction
from zatlas.runs.folder import RunFolder
from zatlas.runs.opened import Run
from zatlas.training.checkpoint import name_of as checkpoint_name
from zatlas.types import Batch
from zatlas.walks import describe
from zatlas.walks.attributes import columns
from zatlas.walks.directions import saved

POINTS = 70_000
FIRST = 4000  # of them are asked for at once, and all later
FEW_VALUES = 20  # a factor of at most so many is coloured as classes are
DIRECTION_ROWS = 20_000
DENSITY_ROWS = 4000  # 20,000, as `zatlas prior` takes, are fitted in 38 s at 16 units, and these in 6
TYPICAL = (0.01, 0.05, 0.5, 0.95)  # quantiles of the log density of the data's codes


class Question(NamedTuple):
    """How a question is answered.

    Attributes:
        form: of its values.
        answer: gives facts and arrays.
        slow: takes seconds, so that it goes to the thread beside the one that decodes.
    """

    form: type[forms.Form]
    answer: Callable[[Explored, Any], tuple[dict[str, Any], dict[str, Array | None]]]
    slow: bool = False


QUESTIONS: dict[str, Question] = {}


def question(form: type[forms.Form], *, slow: bool = False) -> Callable[[Any], Any]:
    """Names a method of :class:`Explored` as the answer to a question."""

    def named(method: Any) -> Any:
        QUESTIONS[method.__name__.rstrip("_")] = Question(form, method, slow)
        return method

    return named


@dataclass(frozen=True)
class _One:
    """One example, as the estimators take examples."""

    x: torch.Tensor
    y: torch.Tensor | None

    def __len__(self) -> int:
        return len(self.x)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        yield Batch(self.x, self.y)


class Explored:
    """A run behind the page.

    Args:
        run: an opened run.
        points: codes of at most so many training examples are shown.
    """

    def __init__(self, run: Run, points: int = POINTS) -> None:
        self.run = run
        self.points = points
        self._opening = Lock()
        self._kept: dict[int, tuple[dict[str, Any], dict[str, Array | None]]] = {}
        self._prior: ExPostPrior | None = None
        self._density: tuple[Callable[[Array], Array], Array] | None = None

    def warm(self) -> None:
        """Works out what the page asks first, so that it opens at once; libraries are loaded by the way.

        Raises:
            UsageError, ZatlasError: the data are gone or damaged.
        """
        self.about()
        self.codes(forms.Some(n=FIRST))
        self._decoded(self._some[:2], None)

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

    # what is there -------------------------------------------------------------------------------------------------

    @question(forms.Nothing)
    def about(self, _: Any = None) -> tuple[dict[str, Any], dict[str, Array | None]]:
        """What the page has to know before anything is drawn."""
        run, record = self.run, self.run.folder.record
        spec, result = run.spec, record.get("result", {})
        low, high = self._range
        facts = {
            "name": printable(run.folder.name),
            "path": printable(str(run.folder.path)),
            "kind": run.config.model.kind,
            "title": run.kind.title,
            "data": printable(str(record["data"].get("name", ""))),
            "latent_dim": run.latent_dim,
            "units": unit_names(run.model.latent_dims),
            "shape": list(spec.shape),
            "image": spec.is_image,
            "range": [low, high],
            "dark": self._dark,
            "labels": {"kind": spec.label_kind, "names": [printable(name)[:200] for name in spec.labels]},
            "conditional": run.kind.conditional,
            "standard_prior": self._standard,
            "step": run.step,
            "status": record.get("status"),
            "loss": result.get("loss") if run.kind.infers else None,
            "can": self.abilities,
        }
        return facts, {}

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
        if not run.spec.is_image:
            cannot["draw"] = "The data are no images, so that none can be drawn or dropped."
        return cannot

    @property
    def _standard(self) -> bool:
        run = self.run
        return len(run.model.latent_dims) == 1 and run.kind.axes and not run.kind.point

    @cached_property
    def _some(self) -> Array:
        """A few codes ``[N, D]`` of the data or else of the prior."""
        run = self.run
        if run.kind.infers and run.has_data:
            return run.encode(run.spread("train", 64)).mean
        if run.kind.point:
            return np.random.default_rng(0).standard_normal((64, run.latent_dim)).astype(np.float32)
        return draw_codes(run.model, 64, run.labels_for(64), device=run.device)

    @cached_property
    def _still(self) -> Array:
        return self._decoded(self._some, None)

    @cached_property
    def _range(self) -> tuple[float, float]:
        """Values shown as black and white: 0 and 1, or where the middle of real values lies."""
        if self.run.spec.values != "real":
            return 0.0, 1.0
        low, high = (float(edge) for edge in np.quantile(self._still, (0.002, 0.998)))
        return low, high if high > low else low + 1.0

    @cached_property
    def _dark(self) -> bool:
        """Whether what is drawn stands on a dark ground."""
        if not self.run.spec.is_image:
            return True
        low, high = self._range
        ground = ground_of(self._still)
        if ground is None:
            return float(self._still.mean()) < (low + high) / 2
        return float(np.mean((ground - low) / (high - low))) < 0.5

    @question(forms.Some, slow=True)
    def codes(self, asked: forms.Some) -> tuple[dict[str, Any], dict[str, Array | None]]:
        """Codes of training examples (draws from the prior where there are none), labels and factors."""
        if asked.n not in self._kept:
            self._kept[asked.n] = self._all_codes(asked.n)
        return self._kept[asked.n]

    def _all_codes(self, wanted: int) -> tuple[dict[str, Any], dict[str, Array | None]]:
        run = self.run
        if not (run.kind.infers and run.has_data):
            n = min(wanted, 2000)
            y = run.labels_for(n)
            z = self._some if run.kind.point else draw_codes(run.model, n, y, device=run.device)
            return {"of": "draws from the prior", "split": None, "factors": []}, {"mean": z, "labels": self._numbers(y)}
        rows = run.spread("train", min(wanted, self.points))
        found = run.encode(rows)
        arrays: dict[str, Array | None] = {"mean": found.mean, "rows": rows.astype(np.int32)}
        if not run.kind.point and run.kind.axes:
            arrays["std"] = found.std
        arrays["labels"] = self._numbers(found.y)
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

    def _numbers(self, y: Array | None) -> Array | None:
        numbers = self.run.label_numbers(y)
        if numbers is None:
            return None
        return numbers.astype(np.int32 if self.run.spec.label_kind == "class" else np.float32)

    @question(forms.Rows)
    def examples(self, asked: forms.Rows) -> tuple[dict[str, Any], dict[str, Array | None]]:
        """Examples of the data as the model sees them, and their posteriors."""
        rows = self.run.numbered(asked.rows)
        found = self.run.encode(rows)
        return {}, {
            "x": self.run.examples(rows),
            "mean": found.mean,
            "std": found.std,
            "labels": self._numbers(found.y),
        }

    # into the latent space and out of it ---------------------------------------------------------------------------

    def _y(self, labels: list[int] | None, n: int) -> Array | None:
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

    def _codes(self, z: list[list[float]] | Array) -> Array:
        """Codes ``[N, D]`` of this model."""
        if any(len(code) != self.run.latent_dim for code in z):
            raise UsageError(f"a code of this model has {self.run.latent_dim} numbers.")
        return np.asarray(z, np.float32)

    def _decoded(self, z: Array, y: Array | None) -> Array:
        if y is None:
            y = self._y(None, len(z))
        return decoded_means(self.run.model, z, y, device=self.run.device, precision=self.run.precision)

    @question(forms.Decode)
    def decode(self, asked: forms.Decode) -> tuple[dict[str, Any], dict[str, Array | None]]:
        """The means of p(x|z)."""
        z = self._codes(asked.z)
        return {}, {"mean": self._decoded(z, self._y(asked.labels, len(z)))}

    @question(forms.Encode)
    def encode(self, asked: forms.Encode) -> tuple[dict[str, Any], dict[str, Array | None]]:
        """The posterior of an image of the reader's own, its reconstruction, and the bound on its log-likelihood."""
        run = self.run
        model = run.need_inference("code of an image")
        if len(asked.image) != run.spec.size:
            raise UsageError(f"an image of this model has {run.spec.size} values, and {len(asked.image)} were sent.")
        low, high = self._range
        x = low + np.asarray(asked.image, np.float32).reshape(1, *run.spec.shape) * (high - low)
        y = self._y(None if asked.label is None else [asked.label], 1)
        tensor = torch.from_numpy(x).float().to(run.device)
        given = None if y is None else torch.from_numpy(y).to(run.device)
        with torch.no_grad():
            q = model.encode(tensor, given)
        mean, std = q.mean.float().cpu().numpy(), q.stddev.float().cpu().numpy()
        shown = self._decoded(mean, y)
        facts: dict[str, Any] = {"pixel_error": float(np.abs(shown - x).mean() / (high - low))}
        if not run.kind.point:
            bound = estimate_elbo(model, _One(tensor, given), device=run.device, precision=run.precision)
            facts |= {"distortion": float(bound.distortion[0]), "rate": float(bound.rate[0])}
            facts["loss"] = facts["distortion"] + facts["rate"]
        facts["quantity"] = str(run.quantity)
        return facts, {"mean": mean, "std": None if run.kind.point else std, "reconstruction": shown}

    @question(forms.Draw)
    def sample(self, asked: forms.Draw) -> tuple[dict[str, Any], dict[str, Array | None]]:
        """Codes drawn from the prior."""
        run = self.run
        if run.kind.point:
            raise UsageError(f"{run.folder.path} has no prior to draw from: `zatlas prior` fits one.")
        y = self._y(None if asked.label is None else [asked.label], asked.n)
        return {}, {"z": draw_codes(run.model, asked.n, y, device=run.device, seed=asked.seed)}

    # walks ---------------------------------------------------------------------------------------------------------

    @question(forms.Interpolate, slow=True)
    def interpolate(self, asked: forms.Interpolate) -> tuple[dict[str, Any], dict[str, Array | None]]:
        """A path through codes, decoded; its log density where one was fitted."""
        anchors = self._codes(asked.codes).astype(np.float64)
        if (sentence := self.abilities.get(asked.path)) is not None:
            raise UsageError(sentence)
        if asked.path == "density":
            run = self.run
            self._fitted()
            assert self._prior is not None
            of = paths.log_density(self._prior)
            spread = run.encode(run.spread("train", 2000)).mean.astype(np.float64)
            z = paths.densest(anchors, asked.n, of, spread)
        else:
            z = (paths.linear if asked.path == "linear" else paths.spherical)(anchors, asked.n)
        nats = None if self._density is None else self._density[0](z)
        return {}, {"z": z, "mean": self._decoded(z, self._y(asked.labels, len(z))), "log_density": nats}

    @question(forms.Nothing, slow=True)
    def describe(self, _: forms.Nothing) -> tuple[dict[str, Any], dict[str, Array | None]]:
        """What each unit does, by falling rate."""
        import matplotlib.pyplot as plt

        view = describe(self.run, bases=32, steps=5)
        if view.figure is not None:
            plt.close(view.figure)
        units = [
            {key: unit.get(key) for key in ("name", "unit", "rate_nats", "dead", "effect_share", "where")}
            | {"says": _says(unit)}
            for unit in view.facts["units"]
        ]
        return {"units": units, "sentences": list(view.sentences)}, {}

    @question(forms.Direct, slow=True)
    def direction(self, asked: forms.Direct) -> tuple[dict[str, Any], dict[str, Array | None]]:
        """The direction from one group of rows to another, with its uncertainty; kept with the run if asked."""
        run = self.run
        if (sentence := self.abilities.get("directions")) is not None:
            raise UsageError(sentence)
        name = check_name(asked.name)
        groups = [_thinned(run.numbered(rows), DIRECTION_ROWS // 2) for rows in (asked.without, asked.with_)]
        if len(both := np.intersect1d(groups[0], groups[1])):
            raise UsageError(f"row {both[0]} is in both groups: groups must not overlap.")
        found = run.encode(np.concatenate(groups))
        y = np.arange(len(found.mean)) >= len(groups[0])
        direction = fit_direction(found.mean, y, std=found.std, method=asked.method, name=name)
        words = [f"{len(rows)} chosen" for rows in groups]
        about = {"with": words[1], "without": words[0], "orthogonal_to": [], "data": run.source.name}
        direction = replace(direction, facts={**direction.facts, **about, "checkpoint": checkpoint_name(run.step)})
        facts = _direction(direction)
        if asked.save:
            run.folder.check_place()
            facts["saved"] = printable(str(direction.save(run.folder.path / "directions")))
        return facts, {"vector": direction.vector}

    @question(forms.Nothing)
    def directions(self, _: forms.Nothing) -> tuple[dict[str, Any], dict[str, Array | None]]:
        """Directions saved with the run that fit its weights."""
        wanted = checkpoint_name(self.run.step)
        found = [d for d in saved(self.run.folder.path) if d.facts.get("checkpoint") == wanted]
        found = [d for d in found if len(d.vector) == self.run.latent_dim]
        vectors = np.stack([d.vector for d in found]) if found else np.zeros((0, self.run.latent_dim))
        return {"directions": [_direction(d) for d in found]}, {"vectors": vectors}

    # how far to be trusted -----------------------------------------------------------------------------------------

    def _fitted(self) -> tuple[Callable[[Array], Array], Array]:
        """The log density of the aggregate posterior, and its quantiles over codes of the data."""
        if (sentence := self.abilities.get("density")) is not None:
            raise UsageError(sentence)
        with self._opening:
            if self._density is None:
                run = self.run
                codes = run.encode(run.spread("train", DENSITY_ROWS))
                prior = run.ex_post_prior("mixture") if run.has_prior() else fit_mixture(codes.mean, codes.std)
                self._prior = prior
                drawn = codes.mean + codes.std * np.random.default_rng(0).standard_normal(codes.mean.shape)
                self._density = prior.log_prob, np.quantile(prior.log_prob(drawn), TYPICAL)
            return self._density

    @question(forms.Decode, slow=True)
    def density(self, asked: forms.Decode) -> tuple[dict[str, Any], dict[str, Array | None]]:
        """log q(z) of the aggregate posterior in nats, and what it is where the data lie."""
        z = self._codes(asked.z)
        of, typical = self._fitted()
        return {"typical": typical, "quantiles": TYPICAL}, {"log_density": of(z.astype(np.float64))}

    @question(forms.Decode, slow=True)
    def reencode(self, asked: forms.Decode) -> tuple[dict[str, Any], dict[str, Array | None]]:
        """How far the code of what is decoded lies from the code, in units of the code."""
        run = self.run
        if (sentence := self.abilities.get("reencode")) is not None:
            raise UsageError(sentence)
        z = self._codes(asked.z)
        y = self._y(asked.labels, len(z))
        x = torch.from_numpy(self._decoded(z, y)).to(run.device)
        with torch.no_grad():
            model = run.need_inference("code of what is decoded")
            back = model.encode(x, None if y is None else torch.from_numpy(y).to(run.device)).mean
        return {}, {"error": np.linalg.norm(back.float().cpu().numpy() - z, axis=1)}

    @question(forms.Decode, slow=True)
    def magnification(self, asked: forms.Decode) -> tuple[dict[str, Any], dict[str, Array | None]]:
        """How much the image changes at most for a small step of the code."""
        z = self._codes(asked.z)
        y = self._y(asked.labels, len(z))
        return {}, {"magnification": magnification(self.run.model, z, y, device=self.run.device)}

    @question(forms.At, slow=True)
    def jacobian(self, asked: forms.At) -> tuple[dict[str, Any], dict[str, Array | None]]:
        """What changes most here: singular values and directions of the decoder's Jacobian."""
        z = self._codes([asked.z])
        y = self._y(None if asked.label is None else [asked.label], 1)
        values, directions = singular_directions(self.run.model, z[0], y, device=self.run.device)
        return {}, {"values": values, "directions": directions}

    # as training goes on -------------------------------------------------------------------------------------------

    @question(forms.Since, slow=True)
    def snapshots(self, asked: forms.Since) -> tuple[dict[str, Any], dict[str, Array | None]]:
        """Images of the same codes at steps of the training after ``since``, and the curve of the loss."""
        folder = RunFolder(self.run.folder.path)
        found = [(step, images) for step, images in folder.snapshots() if step > asked.since]
        lines = [line for line in folder.metrics() if isinstance(line.get("loss"), int | float)]
        keep = [line for line in lines if line.get("split") in (None, "train", "validation")]
        curve = [[line["step"], line["loss"], line.get("split")] for line in keep]
        thin = max(1, len(curve) // 400)
        images = np.stack([shown for _, shown in found]) if found else None
        if images is not None and images.dtype != np.uint8:
            low, high = float(images.min()), float(images.max())
            images = ((images - low) / ((high - low) or 1.0) * 255).astype(np.uint8)
        facts = {"steps": [step for step, _ in found], "curve": curve[::thin]}
        return facts, {"images": images}

    @question(forms.Nothing)
    def status(self, _: forms.Nothing) -> tuple[dict[str, Any], dict[str, Array | None]]:
        """How far the run is, and how far the weights are that answer."""
        record = RunFolder(self.run.folder.path).record
        last = str(record.get("checkpoints", {}).get("last", ""))
        newest = int(last.removeprefix("step-")) if last.removeprefix("step-").isdigit() else self.run.step
        return {"status": record.get("status"), "step": self.run.step, "newest": newest}, {}

    @question(forms.Nothing, slow=True)
    def refresh(self, _: forms.Nothing) -> tuple[dict[str, Any], dict[str, Array | None]]:
        """Opens the newest weights of a run that is still being trained."""
        with self._opening:
            newer = Run(self.run.folder.path, device=self.run.device, data=self.run.data, say=self.run.say)
            self.run, self._density, self._prior = newer, None, None
            self._kept.clear()
            for name in ("_some", "_still", "_range", "_dark"):
                self.__dict__.pop(name, None)
        return self.about()


def _says(unit: dict[str, Any]) -> str:
    """The property that a unit has learned or moves most, in a word or two; empty where there is none."""
    links = unit.get("properties") or []
    first = next((link for link in links if link["learned"] or link["correlation"] ** 2 >= 0.5), None)
    return str(first["name"]) if first and not unit["dead"] else ""


def _direction(direction: Direction) -> dict[str, Any]:
    record = {key: value for key, value in direction.to_json().items() if key != "vector"}
    return {**record, "name": printable(direction.name), "sentence": direction.describe()}


def _thinned(rows: Array, most: int) -> Array:
    return evenly_spaced(np.unique(rows), most)


def open_explored(path: Any, *, device: str = "auto", data: str | None = None, say: Any = None) -> Explored:
    """A run opened for the page.

    Raises:
        UsageError, ZatlasError: a run that is not there or damaged.
    """
    run = Run(path, device=device, data=data, **({} if say is None else {"say": say}))
    explored = Explored(run)
    explored.warm()
    return explored
