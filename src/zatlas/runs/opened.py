"""A run opened again: its model, its data where they are still there, and what can be asked of both."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from zatlas import recipes
from zatlas.arrays import Array
from zatlas.data import Rows
from zatlas.errors import UsageError, ZatlasError
from zatlas.evaluation import Elbo, Figure, Reconstruction, estimate_elbo, estimate_reconstruction, quoted, term_figures
from zatlas.latent import (
    EX_POST,
    Codes,
    ExPostPrior,
    Pictures,
    code_shape,
    decode,
    draw_codes,
    encode,
    unit_names,
)
from zatlas.runs import priors
from zatlas.runs.data import evaluation_batch
from zatlas.runs.loaded import Loaded
from zatlas.runs.parting import parting
from zatlas.training import Watcher
from zatlas.types import Batch

SHOWN = 20  # samples in a notebook


class Run(Loaded):
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

    def __repr__(self) -> str:
        """One line: where it is, what it is, how far it was trained and how good it is."""
        record = self.folder.record
        result = record.get("result", {}) if self.kind.infers else {}
        unit = f" {self.game.objective.unit}".rstrip()
        loss = f", {result['split']} loss {result['loss']:.{2 if unit else 4}f}{unit}" if "loss" in result else ""
        what = f"{self.config.model.kind} of {record['data']['name']}, z = {self.code_size}"
        about = f"{what}, {self.config.network_kind}, step {self.step:,}{loss}"
        return f"<run {self.folder.path}: {about}>"

    def _repr_png_(self) -> tuple[bytes, dict[str, int]] | None:  # what a notebook shows: samples, in two rows
        from zatlas.figures import View, grid

        if not self.spec.is_image or (self.kind.point and not self.priors):
            return None
        return View({}, grid(self.displayable(self.sample(SHOWN)[0].mean), columns=SHOWN // 2))._repr_png_()

    @property
    def code_shape(self) -> tuple[int, ...]:
        """``(C, h, w)`` of a spatial code, whose units lie channel by channel in a row of D; else ``(D,)``."""
        return code_shape(self.model)

    @property
    def code_size(self) -> str:
        """For people: ``16``, or ``4x8x8`` of a spatial code."""
        return "x".join(map(str, self.code_shape))

    @property
    def unit_names(self) -> list[str]:
        """Names of all D units: ``z3``; ``z2.1`` of the second level; ``c3 (2, 5)`` of channel 3 at row 2, column 5."""
        return unit_names(self.model.latent_dims, getattr(self.model, "code_shapes", None))

    def shaped(self, z: Array) -> Array:
        """Codes ``[..., D]`` in the shape that they have for people, ``[..., C, h, w]`` of a spatial code."""
        return z.reshape(*z.shape[:-1], *self.code_shape)

    def in_rows(self, z: Array) -> Array:
        """Codes in rows ``[N, D]``, from ``[N, C, h, w]`` as well."""
        z = np.asarray(z)
        return z.reshape(len(z), -1) if z.ndim == 4 and z.shape[1:] == self.code_shape else z

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
        """The explorer of this run in a notebook's cell: a widget where anywidget is installed, and else a frame.

        A frame is served from this process, and by its ``address`` any browser on this machine shows it, too.

        Args:
            others: at most one, to stand beside it.
            height: in pixels.
            port: to serve a frame from, also where there are widgets; 0: any free one.

        Returns:
            What a notebook shows; a frame's ``stop()`` ends its server.

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
        """Means and draws at codes ``[N, D]``, or ``[N, C, h, w]`` of a spatial code."""
        return decode(self.model, self.in_rows(z), y, device=self.device, precision=self.precision, seed=seed)

    def sample(
        self,
        n: int,
        *,
        label: str | None = None,
        seed: int = 0,
        prior: str | None = None,
        guidance: float | None = None,
        steps: int | None = None,
    ) -> tuple[Pictures, Array | None]:
        """n new examples, and the labels they were given.

        Args:
            n: how many.
            label: a class, for a conditional model or a prior that knows labels. None: every class in turn for both;
                whatever the label for such a prior with guidance 0, or of real labels.
            seed: of the draws.
            prior: a kind of ex-post prior, ``"mixture"``, ``"flow"`` or ``"flow-matching"``, that codes are drawn from;
                it is fitted first where it is not there. None: the model's own prior, and for an autoencoder, which has
                none, the first of these that was fitted, or the mixture.
            guidance: towards the label, of a prior that knows labels: 0 is whatever the label, 1 given it (None: 1).
            steps: of that prior's solver.

        Raises:
            UsageError: a label, guidance or steps where nothing takes them; an unknown class or prior.
        """
        if prior is None and not self.kind.point:
            if guidance is not None or steps is not None:
                word = "guidance" if guidance is not None else "steps"
                raise UsageError(f"{word} would be of an ex-post prior, and none is named: add --prior flow-matching.")
            y = self.labels_for(n, label)
            z = draw_codes(self.model, n, y, device=self.device, seed=seed)
        else:
            fitted = self.ex_post_prior(prior or next(iter(self.priors), "mixture"))
            classes = self.kind.conditional or self.spec.label_kind == "class"
            told = fitted.wants_labels(label, guidance, classes=classes)
            y = self.labels_for(n, label, conditional=self.kind.conditional or told)
            z = fitted.sample(n, seed, y=y if told else None, guidance=guidance, steps=steps)
        return self.decode(z, y if self.kind.conditional else None, seed=seed), y

    # densities fitted to its codes ---------------------------------------------------------------------------------

    def has_prior(self, kind: str = "mixture") -> bool:
        """Whether such an ex-post prior was fitted to these weights."""
        return priors.path_of(self, kind).is_file()

    @property
    def priors(self) -> list[str]:
        """The kinds of ex-post priors that were fitted to these weights."""
        return [kind for kind in EX_POST if self.has_prior(kind)]

    def ex_post_prior(self, kind: str) -> ExPostPrior:
        """The ex-post prior of that kind; where there is none, fitted to the training rows, and kept if it can be.

        Raises:
            UsageError: another kind, or a model without codes.
            ZatlasError: what is there is damaged, or was fitted to codes of another run.
        """
        return priors.found(self, kind)

    def fit_prior(
        self,
        kind: str = "mixture",
        *,
        seed: int = 0,
        rows: int | None = None,
        watchers: Sequence[Watcher] = (),
        **options: Any,
    ) -> ExPostPrior:
        """Fits a density to the codes of training rows and keeps it in the run folder.

        Args:
            kind: ``"mixture"`` of Gaussians, ``"flow"`` of couplings, or ``"flow-matching"``.
            seed: of the draws from the posteriors.
            rows: at most so many; None: 20,000, and for flow matching as many as a gigabyte holds.
            watchers: are told how a training goes, of a kind that is trained in steps.
            options: of that kind: ``components`` of a mixture (None: as many as held-out codes want); of flow matching
                ``steps``, ``seconds``, ``width``, ``blocks``, ``batch_size``, ``learning_rate``
                (:class:`zatlas.latent.matching.Training`).

        Raises:
            UsageError: another kind, an option that it has not, or a model without codes.
            ZatlasError: it cannot be written; what was found has been said.
            KeyboardInterrupt: somebody stopped it; flow matching goes on from there when it is asked for the same.
        """
        return priors.fit(self, kind, seed=seed, rows=rows, watchers=watchers, **options)

    def reconstruct(self, rows: Rows) -> tuple[Array, Codes, Pictures]:
        """The examples as the model sees them, their codes, and what comes back from the codes' means."""
        x, codes = self.examples(rows), self.encode(rows)
        return x, codes, self.decode(codes.mean, codes.y if self.kind.conditional else None)

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
        for rows in torch.arange(len(self.x)).split(evaluation_batch(self.x[0].numel()))[start:]:
            yield Batch(self.x[rows].to(self.device), None if self.y is None else self.y[rows].to(self.device))
