"""The sections of a configuration that belong to no part: the data, and how the training goes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from zatlas.files import LARGEST
from zatlas.parts import Section

# Upper bounds, so that a slip of the keyboard is refused by name: of seeds, as torch takes 64 bits; of steps, as
# float64 counts them. Threads that cannot be started end the process.
SEED, STEPS = LARGEST, 10**15
Pixels = Annotated[int, Field(ge=1, le=2**16)]


def _listed(given: Any) -> Any:
    """A word alone is a list of one; none at all is said by an empty word or list."""
    if isinstance(given, str):
        return [word for word in given.replace(",", " ").split() if word != "none"]
    return [] if given is None else given


class DataConfig(Section):
    """Which data, and how it is shown to the model."""

    source: str = ""
    binarise: Literal["none", "static", "dynamic"] = "none"
    validation: float = Field(0.05, ge=0, description="fraction of the training rows, or a count from 1 on")
    test: float = Field(0.1, ge=0, description="fraction or count, where the data sets no test rows aside itself")
    split_seed: int = Field(0, ge=0, le=SEED)
    labels: str | None = Field(
        None, description="key of the labels in an .npz, column of a hub data set, or a label file"
    )
    label_level: Annotated[int, Field(ge=1, le=STEPS)] | Literal["path"] = Field(
        1, description="of images in folders: which folder is the label, 1 the top one; path: all of them"
    )
    split_folders: bool = Field(
        True, description="top folders, and arrays of an .npz, of train, test and validation (or val) are splits"
    )
    skip_damaged: bool = Field(False, description="leave out images that cannot be read")
    resize: Pixels | tuple[Pixels, Pixels] | None = Field(
        None, description="height and width in pixels; one number: the shorter side, without a crop"
    )
    crop: Pixels | tuple[Pixels, Pixels] | None = Field(
        None, description="height and width in pixels, cut from the centre"
    )
    channels: Literal[1, 3] | None = Field(None, description="1 grey, 3 RGB; None: what the images are")
    augment: Annotated[list[Literal["crop", "shift", "flip"]], BeforeValidator(_listed)] = Field(
        [],
        description="changes of training images, drawn anew in every epoch: flip, crop, shift; the model is then one "
        "of the images and their variants",
    )
    resident: bool | None = Field(None, description="keep all data in memory; None: when they fit into memory_gb")
    memory_gb: float | None = Field(
        None, gt=0, description="most memory for examples, in GB; None: a quarter of what is free"
    )
    shuffle_window: int | None = Field(
        None,
        ge=0,
        le=STEPS,
        description="rows that are shuffled among themselves, in blocks from all over the data, where those are larger "
        "than memory_gb; 0: the order is drawn over all rows; None: as they fit",
    )


class TrainingConfig(Section):
    """How it is minimised, and when to stop: at the first of epochs, steps, seconds, target loss, patience."""

    epochs: int | None = Field(None, ge=1, le=STEPS)
    steps: int | None = Field(None, ge=1, le=STEPS)
    seconds: float | None = Field(None, gt=0)
    target_loss: float | None = None
    patience: int | None = Field(
        None, ge=1, le=STEPS, description="stop after so many validations without a better loss"
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        le=10**9,
        description="None: 128; on a CPU 64, 32 or 16 where convolutions make an example costly",
    )
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    learning_rate: float = Field(4e-3, gt=0)
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.95, ge=0, lt=1)
    weight_decay: float = Field(0.1, ge=0, description="of matrices and kernels, not of biases")
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    warmup: float = Field(0.1, ge=0, lt=1, description="fraction of the budget over which the learning rate rises")
    clip_norm: float = Field(200.0, ge=0, description="largest norm of the gradient; 0: no limit")
    ema: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="decay of the average of the weights; 0: none; None: 0.98 of fewer than 10,000 training rows",
    )
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="of torch's operators on the CPU; None: one for each quarter of a GFLOP of a step",
    )
    device: str = "auto"
    seed: int = Field(0, ge=0, le=SEED)
    validations: int = Field(
        20,
        ge=1,
        le=STEPS,
        description="how often over the whole training, at most: one is put off where all would cost more than a "
        "twentieth of the training; with patience or target_loss, exactly so often",
    )
    overfitting: Literal["begin_again", "go_on"] = Field(
        "begin_again",
        description="begin_again: where the validation loss has turned, train anew with a shorter schedule; "
        "go_on: to the end of the budget. With patience or target_loss it goes on until they end it",
    )
    checkpoint_every_seconds: float = Field(60.0, gt=0)
    checkpoint_every_steps: int | None = Field(None, ge=1, le=STEPS)
