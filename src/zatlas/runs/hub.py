"""A folder as the Hugging Face hub wants it, read as a run: weights without code, a configuration, figures.

::

    config.json        what the model is, the whole configuration, what run.json says of data and training
    model.safetensors  the weights, under the names that the run has for them
    evaluation.json    the figures of `zatlas evaluate`, where there are some
    priors/            densities fitted to its codes, where there are some
    directions/        saved directions, where there are some
    README.md          the model card, and its pictures
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as deserialise
from torch import Tensor

from zatlas.config import Config, as_written, make_config
from zatlas.errors import UsageError, ZatlasError, shown
from zatlas.files import read_json, sha256
from zatlas.runs.checking import check_record
from zatlas.runs.folder import RunFolder
from zatlas.runs.remote import here
from zatlas.training import checkpoint

CONFIG, WEIGHTS, CARD, EVALUATION = "config.json", "model.safetensors", "README.md", "evaluation.json"
CARRIED = ("priors", "directions")  # folders of a run that go with it
FORMAT, SCHEMA = "zatlas hub", 1


def open_folder(path: str | Path) -> RunFolder:
    """The run folder at a path, or a hub folder read as one; one on object storage by its local copy.

    Raises:
        UsageError: it is neither.
        ZatlasError: it is damaged.
    """
    path = here(path)
    hub = (path / CONFIG).is_file() and not (path / "run.json").is_file()
    return HubFolder(path) if hub else RunFolder(path)


class HubFolder(RunFolder):
    """A hub folder, which is read and never written.

    Args:
        folder: holds config.json and model.safetensors.

    Raises:
        UsageError: it holds neither.
        ZatlasError: config.json is damaged, of another program or of a later schema.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder)
        path = self.path / CONFIG
        if not path.is_file():
            raise UsageError(
                f"{self.path} is no hub folder: it holds no {CONFIG}; `zatlas export RUN --hub DIR` makes one."
            )
        self.about = read_json(path, "the model's configuration")
        if self.about.get("format") != FORMAT:
            raise UsageError(f"{path} is not of a model that zatlas exported, so it cannot be read as a run.")
        if self.about.get("schema") != SCHEMA:
            raise ZatlasError(
                f"the hub folder {self.path} has schema {shown(self.about.get('schema'))} and this zatlas reads "
                f"{SCHEMA}: use the zatlas version that its {CONFIG} names."
            )
        record, values = self.about.get("run"), self.about.get("config")
        weights, trainer = self.about.get("weights"), self.about.get("trainer")
        if not all(isinstance(part, dict) for part in (record, values, weights, trainer)):
            raise ZatlasError(f"the model's configuration {path} is damaged: entries are missing or of another kind.")
        self.record: dict[str, Any] = record  # type: ignore[assignment]
        check_record(self.record, path)

    def config(self) -> Config:
        return make_config((str(self.path / CONFIG), as_written(self.about["config"])))

    def check_place(self) -> None:
        raise UsageError(
            f"{self.path} is a hub folder, which is read and not written: make a run of it with "
            f"`zatlas import {self.path} --from hub`."
        )

    def load_checkpoint(self, name: str = "last") -> tuple[dict[str, Tensor], dict[str, Any], list[str]]:
        trainer, path = self.about["trainer"], self.path / WEIGHTS
        if type(trainer.get("step")) is not int or trainer["step"] < 0:
            raise ZatlasError(f"the model's configuration {self.path / CONFIG} is damaged: it does not say its step.")
        own = checkpoint.name_of(trainer["step"])
        if name not in ("best", "last", own):
            raise UsageError(f"the hub folder {self.path} has no checkpoint {name!r}: it holds {own} alone.")
        try:
            if sha256(path) != self.about["weights"].get("sha256"):
                raise ZatlasError(f"the weights {path} are damaged: their checksum is not the one recorded.")
            tensors = deserialise(path.read_bytes())
        except OSError as error:
            raise ZatlasError(f"the weights {path} cannot be read: {error.strerror or error}.") from None
        except SafetensorError as error:
            raise ZatlasError(f"the weights {path} are damaged ({error}).") from None
        return {f"game.{name}": tensor for name, tensor in tensors.items()}, {"trainer": trainer}, []
