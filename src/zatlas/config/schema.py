"""The whole configuration of a run: one validated record, one TOML file, ``--set section.key=value``.

``zatlas train --config FILE`` on the file that a run saved repeats the run.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from zatlas.config.kinds import MODELS, OBJECTIVE_DEFAULTS, ModelKind, ObjectiveKind
from zatlas.config.rules import check
from zatlas.errors import UsageError, nearest, shown
from zatlas.files import LARGEST

Likelihood = Literal[
    "auto",
    "bernoulli",
    "continuous-bernoulli",
    "gaussian",
    "gaussian-learned",
    "gaussian-per-pixel",
    "logistic",
    "logistic-mixture",
    "categorical",
]
Network = Literal[
    "auto",
    "mlp",
    "table",
    "conv",
    "resnet",
    "burgess",
    "konny-h",
    "konny-b",
    "burda",
    "course-conv",
    "course-mlp",
    "exported",
]
# Upper bounds, so that a slip of the keyboard is refused by name: of seeds, as torch takes 64 bits; of steps, as
# float64 counts them; of what is laid out in memory, where nobody wants more. Threads that cannot be started end the
# process.
SEED, STEPS, MOST = LARGEST, 10**15, 10**6
Pixels = Annotated[int, Field(ge=1, le=2**16)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True, protected_namespaces=(), allow_inf_nan=False)


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
    skip_damaged: bool = Field(False, description="leave out images that cannot be read")
    resize: Pixels | tuple[Pixels, Pixels] | None = Field(
        None, description="height and width in pixels; one number: the shorter side, without a crop"
    )
    crop: Pixels | tuple[Pixels, Pixels] | None = Field(
        None, description="height and width in pixels, cut from the centre"
    )
    channels: Literal[1, 3] | None = Field(None, description="1 grey, 3 RGB; None: what the images are")
    resident: bool | None = Field(
        None, description="keep all data in memory; None: when it fits a quarter of what is free"
    )


class ModelConfig(Section):
    """Which model; each kind differs from the others by its parts only."""

    kind: ModelKind = "vae"
    latent_dim: int = Field(
        2, ge=1, le=MOST, description="units; ladder: units (mlp) or channels (resnet) a level; vqvae with mlp: codes"
    )
    network: Network = Field("auto", description="auto: mlp, and for a gan of images conv")
    encoder_graph: tuple[str, ...] | None = Field(None, description="exported: its operations, one a line")
    decoder_graph: tuple[str, ...] | None = Field(None, description="exported: its operations, one a line")
    size: Literal["xs", "s", "m", "l"] = "s"
    likelihood: Likelihood = "auto"
    sigma: float = Field(1.0, gt=0, description="standard deviation of the gaussian likelihood, in units of the data")
    start_log_variance: float | None = Field(
        None, ge=-12, le=2, description="of an untrained posterior; None: -4, or 0 for the course's networks"
    )
    prior: Literal["normal", "mixture", "vamp", "flow", "conditional"] = Field(
        "normal", description="vae, cvae: of z; conditional: p(z|y), cvae only"
    )
    prior_components: int = Field(100, ge=1, le=MOST, description="mixture, vamp: how many Gaussians or pseudo-inputs")
    posterior: Literal["diagonal", "full", "flow"] = Field("diagonal", description="vae, cvae: family of q(z|x)")
    flow_layers: int = Field(8, ge=1, le=1000, description="of a flow prior or posterior")
    flow_depth: int = Field(
        2, ge=1, le=1000, description="hidden layers of a flow prior's networks; a posterior's have 1"
    )
    flow_width: int = Field(256, ge=1, le=MOST, description="of the layers of a flow's networks")
    levels: int = Field(3, ge=1, le=100, description="ladder: layers of z")
    codebook: Literal["ema", "gradient"] = Field("ema", description="vqvae: how codewords follow the codes")
    codebook_size: int = Field(256, ge=2, le=MOST, description="vqvae: number of codewords")
    code_dim: int = Field(16, ge=1, le=MOST, description="vqvae: length of a codeword")


class ObjectiveConfig(Section):
    """What is minimised, in nats per example. Each key says which kinds it belongs to; elsewhere it is refused."""

    kind: ObjectiveKind = "elbo"
    beta: float = Field(1.0, gt=0, description="elbo, dip: weight of the rate; tcvae: of the total correlation")
    beta_warmup_steps: int | None = Field(
        None,
        ge=0,
        le=STEPS,
        description="beta rises linearly from 0 over so many steps; None: 300, or 0 for an mlp of one or two units",
    )
    capacity_nats: float | None = Field(
        None, ge=0, description="final rate C of the capacity schedule; None: no capacity"
    )
    capacity_steps: int = Field(10_000, ge=1, le=STEPS, description="steps over which C rises from 0")
    gamma: float = Field(30.0, gt=0, description="weight of |rate - C|")
    free_bits_nats: float = Field(0.0, ge=0, description="elbo: nats of each unit that are not charged")
    sticking_the_landing: bool = Field(False, description="elbo: gradient of the rate through z alone")
    samples: int = Field(5, ge=1, le=MOST, description="iwae: draws of z for each example")
    doubly_reparameterised: bool = Field(False, description="iwae: the encoder's gradient of Tucker et al. 2019")
    estimator: Literal["stratified", "weighted"] = Field("stratified", description="tcvae: of q(z) from a batch")
    factor_gamma: float = Field(35.0, gt=0, description="factor: weight of the total correlation")
    dip_kind: Literal["i", "ii"] = Field("ii", description="dip: covariance of the means (i) or of z (ii)")
    dip_off: float = Field(10.0, ge=0, description="dip: weight of the covariances")
    dip_on: float = Field(10.0, ge=0, description="dip: weight of the variances' distance from 1")
    mmd_alpha: float = Field(0.0, ge=0, le=1, description="infovae: share of the rate that is not charged")
    mmd_weight: float = Field(100.0, gt=0, description="infovae: weight of the discrepancy")
    target_nats: float | None = Field(None, gt=0, description="constrained: what the constrained part may be at most")
    constrain: Literal["distortion", "rate"] = Field("distortion", description="constrained: which part")

    groups: int = Field(1, ge=1, le=MOST, description="iwae: mean of so many bounds of that many samples each (MIWAE)")
    rate: Literal["auto", "closed"] = Field("auto", description="closed: refuse where the rate has no formula")
    commitment: float = Field(0.25, gt=0, description="vq: weight of the codes' distance from their codewords")
    penalty: float = Field(1.0, ge=0, description="relativistic, wasserstein: weight of the gradient penalty")
    penalty_every: int = Field(
        0,
        ge=0,
        le=STEPS,
        description="relativistic, wasserstein: charged at every so manieth step, that many times; 0: 8 for "
        "convolutions, else 1",
    )
    penalty_final: float | None = Field(
        None, gt=0, description="relativistic: what the penalty falls to, geometrically"
    )
    penalty_steps: int = Field(0, ge=0, le=STEPS, description="relativistic: over so many steps")
    critic_steps: int = Field(5, ge=1, le=MOST, description="wasserstein: steps of the critic for one of the generator")
    spectral_norm: bool = Field(False, description="gan, relativistic, wasserstein: in the critic")

    @property
    def is_weighted_elbo(self) -> bool:
        """Whether the loss is distortion + beta rate and nothing else."""
        return self.kind == "elbo" and self.capacity_nats is None


class TrainingConfig(Section):
    """How it is minimised, and when to stop: at the first of epochs, steps, seconds, target loss, patience."""

    epochs: int | None = Field(None, ge=1, le=STEPS)
    steps: int | None = Field(None, ge=1, le=STEPS)
    seconds: float | None = Field(None, gt=0)
    target_loss: float | None = None
    patience: int | None = Field(
        None, ge=1, le=STEPS, description="stop after so many validations without a better loss"
    )
    batch_size: int = Field(128, ge=1, le=10**9)
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    learning_rate: float = Field(4e-3, gt=0)
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.95, ge=0, lt=1)
    weight_decay: float = Field(0.1, ge=0, description="of matrices and kernels, not of biases")
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    warmup: float = Field(0.1, ge=0, lt=1, description="fraction of the budget over which the learning rate rises")
    clip_norm: float = Field(200.0, ge=0, description="largest norm of the gradient; 0: no limit")
    ema: float = Field(0.0, ge=0, lt=1, description="decay of the average of the weights; 0: none")
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int | None = Field(
        None, ge=1, le=1024, description="of torch's operators on the CPU; None: one for each half GFLOP of a step"
    )
    device: str = "auto"
    seed: int = Field(0, ge=0, le=SEED)
    validations: int = Field(20, ge=1, le=STEPS, description="how often over the whole training")
    checkpoint_every_seconds: float = Field(60.0, gt=0)
    checkpoint_every_steps: int | None = Field(None, ge=1, le=STEPS)


class Config(Section):
    """All of it."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="after")
    def _combinations(self) -> Config:
        check(self)
        return self

    def to_toml(self) -> str:
        return tomli_w.dumps(self.model_dump(exclude_none=True))


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def _with_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values over what their kind of model and objective wants where nothing is said."""
    model, objective = values.get("model"), values.get("objective")
    named = model.get("kind", "vae") if isinstance(model, Mapping) else "vae"
    if not isinstance(named, str) or named not in MODELS:
        return dict(values)  # which is refused by name
    kind = MODELS[named]
    aim = objective.get("kind", kind.objectives[0]) if isinstance(objective, Mapping) else kind.objectives[0]
    merged: dict[str, Any] = {"objective": {"kind": aim}}
    for layer in (kind.defaults, OBJECTIVE_DEFAULTS.get(aim, {}) if isinstance(aim, str) else {}, values):
        _merge(merged, layer)
    return merged


def known_keys() -> list[str]:
    """Every ``section.key``."""
    return [f"{s}.{k}" for s, f in Config.model_fields.items() for k in f.annotation.model_fields]  # type: ignore[union-attr]


def _sentence(error: ValidationError, where: str) -> str:
    first = error.errors()[0]
    key = ".".join(
        str(part)[:80] for part in first["loc"][:2]
    )  # what follows is pydantic's, such as which of two types
    if first["type"] == "extra_forbidden":
        known = list(Config.model_fields) if "." not in key else known_keys()
        return f"{where}: there is no {key}; {nearest(key, known)}"
    if first["type"] == "literal_error" and isinstance(first["input"], str):
        known = [word.strip("' ") for word in first["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return f"{where}: {key} cannot be {shown(first['input'])}; {nearest(first['input'], known)}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {key}: {message} (given: {shown(first['input'])})." if key else f"{where}: {message}."


def make_config(*layers: tuple[str, Mapping[str, Any]]) -> Config:
    """The configuration from layers of nested values, later ones over earlier ones.

    Args:
        layers: pairs of a name for error messages and ``{section: {key: value}}``. Each layer's values are judged by
            themselves, their combination only when all layers are there.

    Raises:
        UsageError: an unknown key (the nearest known one is named) or a value that cannot be.

    >>> make_config(("here", {"model": {"latent_dim": 8}})).model.latent_dim
    8
    """
    merged: dict[str, Any] = {}
    config = Config()
    for number, (where, values) in enumerate(layers, 1):
        _merge(merged, values)
        try:
            config = Config.model_validate(_with_defaults(merged))
        except ValidationError as error:
            if number == len(layers) or any(e["loc"] for e in error.errors()):
                raise UsageError(_sentence(error, where)) from None
    return config


def parse_set(assignments: Sequence[str]) -> dict[str, Any]:
    """``["training.learning_rate=1e-3"]`` as nested values; each value is read as TOML, else as a plain word."""
    nested: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        section, dot, name = key.strip().partition(".")
        if not (equals and dot and name):
            raise UsageError(
                f"--set wants section.key=value, and {shown(assignment)} is not that; {nearest(key, known_keys())}"
            )
        try:
            value = tomllib.loads(f"v = {text}")["v"]
        except tomllib.TOMLDecodeError:
            value = None if text.strip() == "none" and name != "binarise" else text.strip()
        except (ValueError, RecursionError):  # thousands of digits, or of brackets
            raise UsageError(f"--set {key.strip()}: its value is too long or too deep to be one.") from None
        nested.setdefault(section, {})[name] = value
    return nested


_SAVED_BY_0_1 = {"source", "binarise", "validation", "test", "split_seed"}  # a run writes down every key with a value


def as_written(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a config.toml in today's words, so that a run of any version is read as what it was.

    At first the whole path of a folder was the label of its images, a GAN's penalty was charged at every step, and its
    residual network was called conv. A file that zatlas wrote names every key of its time, which tells its age.
    """
    data, model, objective = (values.get(section) for section in ("data", "model", "objective"))
    if isinstance(data, dict) and data.keys() >= _SAVED_BY_0_1 and "label_level" not in data:
        values = {**values, "data": {**data, "label_level": "path"}}
    if not isinstance(model, dict) or not isinstance(objective, dict):
        return values  # which is refused by name, or names too little to be a run's
    if "spectral_norm" not in objective or "penalty_every" in objective or model.get("kind") not in ("gan", "cgan"):
        return values
    network = "resnet" if model.get("network") == "conv" else model.get("network", "mlp")
    charged = {} if objective.get("kind") == "gan" else {"penalty_every": 1}
    return {**values, "model": {**model, "network": network}, "objective": {**objective, **charged}}


def square(resize: int | tuple[int, int] | None, crop: int | tuple[int, int] | None) -> dict[str, Any]:
    """The sizes that a person means: one number alone makes the square at the centre of every image.

    >>> square(64, None)
    {'resize': 64, 'crop': 64}
    >>> square((64, 48), None)
    {'resize': (64, 48), 'crop': None}
    """
    return {"resize": resize, "crop": resize if isinstance(resize, int) and crop is None else crop}


def read_toml(path: Path) -> dict[str, Any]:
    """The nested values of a TOML file, in today's words.

    Raises:
        UsageError: the file cannot be read or is no TOML.
    """
    try:
        return as_written(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"the configuration {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise UsageError(f"the configuration {path} is not valid TOML: {error}.") from None
    except RecursionError:
        raise UsageError(
            f"the configuration {path} is not valid TOML: its values lie too deep in one another."
        ) from None


def _preset_files() -> dict[str, Traversable]:
    files = resources.files("zatlas.config").joinpath("presets").iterdir()
    return {f.name.removesuffix(".toml"): f for f in sorted(files, key=lambda f: f.name) if f.name.endswith(".toml")}


def presets() -> dict[str, dict[str, Any]]:
    """The named bundles of values that come with zatlas."""
    return {name: tomllib.loads(file.read_text(encoding="utf-8")) for name, file in _preset_files().items()}


def preset(name: str) -> dict[str, Any]:
    """One preset's values.

    Raises:
        UsageError: there is no preset of that name.
    """
    files = _preset_files()
    if name not in files:
        raise UsageError(f"there is no preset {name!r}; {nearest(name, files)}")
    return tomllib.loads(files[name].read_text(encoding="utf-8"))
