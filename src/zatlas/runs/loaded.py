"""What is there of a run: its folder, its model, and its data where they are still there."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from zatlas import recipes
from zatlas.arrays import Array
from zatlas.data import Batches, Rows, Source, Splits, evenly_spaced, gathered
from zatlas.errors import UsageError, nearest
from zatlas.parts import SORTS, Part
from zatlas.runs.data import batches, check_same_data, label_cycle, reopen
from zatlas.runs.folder import RunFolder
from zatlas.runs.hub import open_folder
from zatlas.training import Precision, choose_device, load_module
from zatlas.trust import trusting
from zatlas.types import DataSpec, Generates, Infers, inferring


class Loaded:
    """A run's folder, its model and its data; arguments and errors are those of :class:`zatlas.runs.opened.Run`."""

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

    def beside(self, data: str) -> Self:
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

    # rows, and what belongs to them -------------------------------------------------------------------------------

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

    def labels_for(self, n: int, label: str | None = None, *, conditional: bool | None = None) -> Array | None:
        """y ``[n, Y]`` for n codes: the class named, or every class in turn; None for an unconditional model.

        Args:
            n: how many.
            label: the class.
            conditional: whether labels are wanted, as by a prior that knows them; None: where the model is conditional.

        Raises:
            UsageError: no such class, or a label for a model that has none.
        """
        if not (self.kind.conditional if conditional is None else conditional):
            if label is not None:
                other = f"c{self.config.model.kind}" if SORTS["model"].find(f"c{self.config.model.kind}") else "cvae"
                raise UsageError(
                    f"{self.folder.path} is not conditional, so it takes no label: train --model {other}, or fit a "
                    "prior that knows them, `zatlas prior RUN --kind flow-matching`, and name it."
                )
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

    def displayable(self, x: Array) -> Array:
        """Images in [0, 1]: as they are, or real values stretched over the range of what is shown."""
        if self.spec.values != "real":
            return x.clip(0, 1)
        low, high = float(x.min()), float(x.max())
        return (x - low) / (high - low or 1.0)
