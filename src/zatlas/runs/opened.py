"""A run opened again: its model, its data where they are still there, and what can be asked of both."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zatlas import recipes
from zatlas.arrays import Array
from zatlas.data import Batches, Rows, Source, Splits, evenly_spaced, gathered
from zatlas.errors import UsageError, ZatlasError, nearest
from zatlas.evaluation import Elbo, Figure, Reconstruction, estimate_elbo, estimate_reconstruction, quoted, term_figures
from zatlas.latent import (
    EX_POST,
    Codes,
    ExPostPrior,
    Pictures,
    decode,
    draw_codes,
    encode,
    fit_ex_post,
)
from zatlas.parts import SORTS, Part
from zatlas.runs.data import EVALUATION_BATCH, batches, check_same_data, label_cycle, reopen
from zatlas.runs.folder import RunFolder
from zatlas.runs.hub import open_folder
from zatlas.runs.parting import parting
from zatlas.training import Precision, choose_device, load_module
from zatlas.training.checkpoint import name_of as checkpoint_name
from zatlas.trust import trusting
from zatlas.types import Batch, DataSpec, Generates, Infers, inferring

SHOWN = 20  # samples in a notebook


class Run:
    """A run on disk with its model, and its data where they are still there.

    Args:
        folder: the run's folder, or a hub folder (:mod:`zatlas.runs.hub`), which is read as one.
        device: where the model goes; ``"auto"`` chooses.
        checkpoint: ``"last"``, ``"best"`` or a name; None: the best where the run has validated losses that can be
            compared (its record says ``"opens"``; a run from before 0.3 says nothing and is opened at its best where
            early stopping was on), else the last.
        data: other data than the run's own, by name or path, or an array, a Dataset, ....
        say: is given sentences for people, such as a damaged checkpoint passed over.
        trust: whether code that the run names by its place, ``package.module:Class``, may be imported, which runs it.
        own: objects in the place of parts that the run does not hold: ``encoder`` and ``decoder``, ``objective``,
            ``likelihood``, ``prior``.

    Raises:
        UsageError, ZatlasError: there is no run; it is damaged; or it names code that is not there or not trusted.
    """

    def __init__(
        self,
        folder: RunFolder | str | Path,
        *,
        device: torch.device | str = "auto",
        checkpoint: str | None = None,
        data: Any = None,
        source: Source | None = None,
        splits: Splits | None = None,
        say: Callable[[str], None] = lambda sentence: None,
        trust: bool = False,
        given: recipes.Given | None = None,
        **own: Any,
    ) -> None:
        self.folder = folder if isinstance(folder, RunFolder) else open_folder(folder)
        with trusting(trust):
            self.config = self.folder.config()
            given = given or recipes.given_again(own)
        self.device = device if isinstance(device, torch.device) else choose_device(device)
        self.data = data
        self.say = say
        self._trust = trust
        self.precision: Precision = "fp32"  # figures are not rounded to the precision that training was fastest in
        self.spec = DataSpec.from_json(self.folder.record["data"]["spec"])
        tensors, record, passed = self.folder.load_checkpoint(checkpoint or self.folder.opens(self.config))
        for sentence in passed:
            say(f"{sentence} Step {record['trainer']['step']} is used.")
        self.step: int = record["trainer"]["step"]
        with trusting(trust):
            self.game = recipes.build_game(self.config, self.spec, self.folder.training_rows, given=given)
        for sentence in recipes.changes(self.folder.record):
            say(sentence)
        prefix = "average." if any(name.startswith("average.") for name in tensors) else "game."
        load_module(self.game, {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
        self.game.to(self.device).eval()
        self._given = (source, splits) if source is not None and splits is not None else None

    def __repr__(self) -> str:
        """One line: where it is, what it is, how far it was trained and how good it is."""
        record = self.folder.record
        result = record.get("result", {}) if self.kind.infers else {}
        loss = f", {result['split']} loss {result['loss']:.2f} nats" if "loss" in result else ""
        what = f"{self.config.model.kind} of {record['data']['name']}, z = {self.latent_dim}"
        about = f"{what}, {self.config.network_kind}, step {self.step:,}{loss}"
        return f"<run {self.folder.path}: {about}>"

    def _repr_png_(self) -> tuple[bytes, dict[str, int]] | None:  # what a notebook shows: samples, in two rows
        from zatlas.figures import View, grid

        if not self.spec.is_image or (self.kind.point and not self.has_prior()):
            return None
        return View({}, grid(self.displayable(self.sample(SHOWN)[0].mean), columns=SHOWN // 2))._repr_png_()

    @property
    def run(self) -> RunFolder:
        """The former name of ``folder``."""
        return self.folder

    @property
    def model(self) -> Generates:
        return self.game.model

    @property
    def fast_precision(self) -> Precision:
        """For long estimates: bfloat16 networks where training found them faster; densities are float32 anyway."""
        return "bf16" if self.folder.record.get("precision") == "bf16" else "fp32"

    @property
    def kind(self) -> Part:
        """What is true of models of this kind."""
        return self.config.kind

    @property
    def has_diagonal_posterior(self) -> bool:
        """Whether q(z|x) of its one layer is a diagonal Gaussian."""
        return self.config.posterior is not None and self.config.part("posterior").has("gaussian", "by_unit")

    @property
    def has_standard_prior(self) -> bool:
        """Whether p(z) of its one layer is N(0, I)."""
        if self.config.prior is None:
            return self.kind.has("linear") or self.kind.has("game")
        return self.config.part("prior").has("standard")

    @property
    def likelihood(self) -> str:
        """The name of p(x|z), never ``auto``."""
        return recipes.likelihood_name(self.config, self.spec)

    @property
    def quantity(self) -> recipes.Quantity:
        """What the exponential of log p(x|z) is: a probability, a density, the grey loss, or none."""
        return recipes.quantity(self.config, self.spec)

    @property
    def latent_dim(self) -> int:
        """Length of a code: the units of all levels."""
        return sum(self.model.latent_dims)

    def need_inference(self, what: str) -> Infers:
        """The model, as one that infers; refuses for one that only generates.

        Raises:
            UsageError: there is no posterior, so ``what`` cannot be.
        """
        if not self.kind.infers:
            raise UsageError(
                f"{self.folder.path} is a {self.config.model.kind}, which cannot say which code made an example: "
                f"it has no {what}. Choose a model with an encoder, such as a vae."
            )
        return inferring(self.model)

    @cached_property
    def _data(self) -> tuple[Source, Splits]:
        if self._given:
            return self._given
        with trusting(self._trust):
            source, splits = reopen(self.folder, self.config, self.data, "give --data with where they are now")
        if self.data is None:
            check_same_data(self.folder, source)
        elif source.spec.shape != self.spec.shape:
            found, wanted = ("x".join(map(str, spec.shape)) for spec in (source.spec, self.spec))
            raise UsageError(f"{source.name} holds {found} and the model wants {wanted}: give data of that size.")
        elif self.kind.conditional and source.spec.label_dim != self.spec.label_dim:
            raise UsageError(
                f"{source.name} has labels of {source.spec.label_dim} columns, and {self.folder.path} is conditional "
                f"on {self.spec.label_dim}: give data with the labels that it was trained with."
            )
        return source, splits

    def beside(self, data: str) -> Run:
        """The same model with other data: a name, a path, or an image file."""
        other = copy.copy(self)
        other.__dict__.pop("_data", None)
        other.data, other._given = data, None
        return other

    @property
    def has_data(self) -> bool:
        """Whether it is known where the data are: not of a run fitted on arrays, nor of one made from weights alone."""
        return bool(self._given or self.config.data.source or self.data)

    @property
    def source(self) -> Source:
        return self._data[0]

    @property
    def splits(self) -> Splits:
        return self._data[1]

    def rows(self, name: str) -> Rows:
        """Rows of ``"train"``, ``"validation"``, ``"test"`` or ``"all"``."""
        if name == "all":
            return np.arange(len(self.source))
        if name not in self.splits._fields:
            raise UsageError(f"there is no split {name!r}; {nearest(name, [*self.splits._fields, 'all'])}")
        rows: Rows = getattr(self.splits, name)
        if not len(rows):
            raise UsageError(f"{self.source.name} has no {name} rows: set data.{name}, or choose another split.")
        return rows

    def held_out(self) -> str:
        """The name of the split that figures are about: test rows, else validation rows, else what there is."""
        return next(name for name in ("test", "validation", "train") if len(getattr(self.splits, name)))

    def batches(self, rows: Rows) -> Batches:
        return batches(self.config, self.source, rows, self.device)

    def elbo(self, rows: Rows, progress: Callable[[int], None] | None = None, *, seed: int = 0) -> Elbo:
        """The bound over some rows, at one draw of z for each from ``seed``."""
        model, shown = self.need_inference("bound on the likelihood"), self.batches(rows)
        return estimate_elbo(model, shown, device=self.device, precision=self.precision, seed=seed, progress=progress)

    def reconstruction(self, rows: Rows, progress: Callable[[int], None] | None = None) -> Reconstruction:
        """How far some images are from what the means of their codes decode to."""
        return estimate_reconstruction(
            self.need_inference("reconstructions"),
            self.batches(rows),
            conditional=self.kind.conditional,
            device=self.device,
            precision=self.precision,
            progress=progress,
        )

    def terms(self, rows: Rows, *, seed: int = 0) -> dict[str, Figure]:
        """The objective's own terms over some rows: of the model, and of the critic of one that only generates."""
        players = self.game.players if not self.kind.infers else None
        shown = self.batches(rows)
        return term_figures(self.game, shown, players=players, device=self.device, precision=self.precision, seed=seed)

    def parting(self) -> str | None:
        """Where the validation loss turned away from the training loss, in a sentence; None where it did not."""
        if self.folder.record.get("opens") != "best" or not self.folder.metrics_path.is_file():
            return None
        return parting(self.folder.metrics(), self.step)

    def test(self) -> dict[str, float]:
        """Mean terms over the test rows (validation or training rows where there are none), and what the field quotes
        beside them (:func:`zatlas.evaluation.quoted`), kept in run.json."""
        name = self.held_out()
        rows = self.rows(name)
        terms = {term: figure.value for term, figure in self.terms(rows).items()}
        grey = self.kind.infers and not recipes.lacks_grey_levels(self.config, self.spec)
        shown = self.reconstruction(rows) if grey else None
        terms = quoted(terms, bits_over=recipes.bits_over(self.config, self.spec), shown=shown)
        if not all(map(math.isfinite, terms.values())):
            raise ZatlasError(f"the loss on the {name} rows is not finite: the model of {self.folder.path} is broken.")
        self.folder.update(result={"split": name, **terms})
        return terms

    def explore(self, *others: Run, height: int = 720, port: int | None = None) -> Any:
        """The explorer of this run, in a notebook's cell or, by its ``address``, in a browser on this machine.

        Args:
            others: at most one, to stand beside it.
            height: of the frame, in pixels.
            port: None: any free one.

        Returns:
            What a notebook shows; its ``stop()`` ends the server.

        Raises:
            UsageError: more than two runs.
            ZatlasError: the port is in use, the data are gone, or a library is missing.
        """
        from zatlas.explorer.notebook import explore

        return explore([self, *others], height=height, port=port)

    # into the latent space and out of it ---------------------------------------------------------------------------

    def encode(self, rows: Rows, progress: Callable[[int], None] | None = None) -> Codes:
        """Posterior means and deviations of some rows."""
        model, batches = self.need_inference("codes of examples"), self.batches(rows).epoch(0)
        return encode(model, batches, device=self.device, precision=self.precision, progress=progress)

    def decode(self, z: Array, y: Array | None = None, *, seed: int = 0) -> Pictures:
        """Means and draws at codes ``[N, D]``."""
        return decode(self.model, z, y, device=self.device, precision=self.precision, seed=seed)

    def labels_for(self, n: int, label: str | None = None) -> Array | None:
        """y ``[n, Y]`` for n codes: the class named, or every class in turn; None for an unconditional model.

        Raises:
            UsageError: no such class, or a label for a model that has none.
        """
        if not self.kind.conditional:
            if label is not None:
                other = f"c{self.config.model.kind}" if SORTS["model"].find(f"c{self.config.model.kind}") else "cvae"
                raise UsageError(f"{self.folder.path} is not conditional, so it takes no label: train --model {other}.")
            return None
        if label is None:
            return label_cycle(self.spec, n, torch.device("cpu")).numpy()
        if label not in self.spec.labels:
            raise UsageError(f"there is no class {label!r}; {nearest(label, self.spec.labels)}")
        y = np.zeros((n, self.spec.label_dim), np.float32)
        y[:, self.spec.labels.index(label)] = 1
        return y

    def label_numbers(self, y: Array | None) -> Array | None:
        """Class numbers or the first real column, for pictures; None without labels."""
        if y is None:
            return None
        return y.argmax(1) if self.spec.label_kind == "class" else y[:, 0]

    def sample(
        self, n: int, *, label: str | None = None, seed: int = 0, prior: str | None = None
    ) -> tuple[Pictures, Array | None]:
        """n new examples, and the labels they were given.

        Args:
            n: how many.
            label: a class, for a conditional model.
            seed: of the draws.
            prior: ``"mixture"`` or ``"flow"``: codes from that ex-post prior, which is fitted first where it is not
                there; None: from the model's own prior, and for an autoencoder, which has none, from the mixture.
        """
        y = self.labels_for(n, label)
        if prior is None and not self.kind.point:
            z = draw_codes(self.model, n, y, device=self.device, seed=seed)
        else:
            z = self.ex_post_prior(prior or "mixture").sample(n, seed)
        return self.decode(z, y, seed=seed), y

    def _prior_path(self, kind: str) -> Path:
        """Of these weights."""
        return self.folder.path / "priors" / f"{kind}-{checkpoint_name(self.step)}.safetensors"

    def has_prior(self, kind: str = "mixture") -> bool:
        """Whether such an ex-post prior was fitted to these weights."""
        return self._prior_path(kind).is_file()

    def ex_post_prior(self, kind: str) -> ExPostPrior:
        """The ex-post prior of that kind; where there is none, fitted to the training rows, and kept if it can be."""
        path = self._prior_path(kind)
        if path.is_file():
            return ExPostPrior.load(path)
        fitted = self._fitted_prior(kind)
        try:
            fitted.save(path)
        except ZatlasError as error:
            self.say(f"The {kind} is used here and not kept: {error}")
        return fitted

    def fit_prior(
        self, kind: str = "mixture", *, components: int | None = None, seed: int = 0, rows: int = 20_000
    ) -> ExPostPrior:
        """Fits a density to the codes of training rows and keeps it in the run folder.

        Args:
            kind: ``"mixture"`` of Gaussians, or ``"flow"``.
            components: of the mixture; None: as many as held-out codes want.
            seed: of the draws from the posteriors.
            rows: at most so many.

        Raises:
            UsageError: another kind, or a model without codes.
            ZatlasError: it cannot be written; what was found has been said.
        """
        fitted = self._fitted_prior(kind, components=components, seed=seed, rows=rows)
        try:
            fitted.save(self._prior_path(kind))
        except ZatlasError:
            self.say(f"Found {fitted.describe()}.")
            raise
        return fitted

    def _fitted_prior(
        self, kind: str, *, components: int | None = None, seed: int = 0, rows: int = 20_000
    ) -> ExPostPrior:
        self.need_inference("codes that a prior could be fitted to")
        if kind not in EX_POST:
            raise UsageError(f"there is no ex-post prior {kind!r}; {nearest(kind, EX_POST)}")
        if not self.kind.axes:
            raise UsageError(f"the codes of {self.folder.path} are words of a codebook and have a prior of their own.")
        codes = self.encode(self.spread("train", rows))
        self.say(f"Fitting a {kind} to {len(codes.mean):,} codes, for {self._prior_path(kind).parent}.")
        return fit_ex_post(kind, codes, components=components, seed=seed)

    def spread(self, split: str, n: int) -> Rows:
        """n rows spread evenly over a split."""
        return evenly_spaced(self.rows(split), n)

    def numbered(self, rows: Sequence[int] | Rows) -> Rows:
        """Row numbers, once it is sure that the data have them.

        Raises:
            UsageError: a row that is not there, or none at all.
        """
        chosen = np.asarray(rows, np.int64).reshape(-1)
        if not len(chosen):
            raise UsageError("no rows are given: name at least one.")
        for row in chosen:
            if not 0 <= row < len(self.source):
                raise UsageError(f"there is no row {row}: {self.source.name} has rows 0 to {len(self.source) - 1}.")
        return chosen

    def examples(self, rows: Rows) -> Array:
        """Examples ``[N, *data]`` as the model sees them, in the order of the rows."""
        return gathered(self.batches(rows).epoch(0))

    def reconstruct(self, rows: Rows) -> tuple[Array, Codes, Pictures]:
        """The examples as the model sees them, their codes, and what comes back from the codes' means."""
        x, codes = self.examples(rows), self.encode(rows)
        return x, codes, self.decode(codes.mean, codes.y if self.kind.conditional else None)

    def displayable(self, x: Array) -> Array:
        """Images in [0, 1]: as they are, or real values stretched over the range of what is shown."""
        if self.spec.values != "real":
            return x.clip(0, 1)
        low, high = float(x.min()), float(x.max())
        return (x - low) / (high - low or 1.0)

    @property
    def has_rates(self) -> bool:
        """Whether :meth:`unit_rates` can be known: over data, as recorded, or over the model's own examples."""
        kept = self.has_data or "unit_rates" in self.folder.record
        return self.kind.infers and self.kind.axes and (kept or not self.kind.point)

    def unit_rates(self, most: int = 2000) -> Array:
        """The mean rate of each unit ``[D]`` in nats, over at most so many test rows.

        Where the run was fitted on arrays that it does not hold: as recorded then, over validation or training rows.
        Where nothing was recorded either, as of imported weights: over as many examples of the model's own, the means
        of p(x|z) at codes from the prior. Units are ordered well by that; but where the codes of real data do not fill
        the prior, such examples are not like them, and neither are the rates.

        Raises:
            UsageError: codes without axes, or an autoencoder without data, which has no prior to draw from.
        """
        if not self.kind.axes:
            raise UsageError(
                f"the codes of {self.folder.path} are words of a codebook: they have no axes to walk along or measure."
            )
        if not self.has_data and "unit_rates" in self.folder.record:
            return np.asarray(self.folder.record["unit_rates"])
        if not self.has_data and not self.kind.point:
            return self._own_rates(most)
        name = self.held_out()
        return self.elbo(self.spread(name, most)).unit_rates.numpy()

    def _own_rates(self, n: int) -> Array:
        """The mean rate of each unit over n examples of the model's own."""
        model = self.need_inference("rates")
        pictures, y = self.sample(n)
        shown = _Shown(torch.from_numpy(pictures.mean), None if y is None else torch.from_numpy(y), self.device)
        return estimate_elbo(model, shown, device=self.device, precision=self.precision).unit_rates.numpy()


@dataclass(frozen=True)
class _Shown:
    """Examples that no source holds, x ``[N, *data]`` and y ``[N, Y]`` or None, in batches."""

    x: torch.Tensor
    y: torch.Tensor | None
    device: torch.device

    def __len__(self) -> int:
        return len(self.x)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        for rows in torch.arange(len(self.x)).split(EVALUATION_BATCH)[start:]:
            yield Batch(self.x[rows].to(self.device), None if self.y is None else self.y[rows].to(self.device))
