from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cli.conftest import zatlas
from tests.laws import cases
from zatlas.config import make_config
from zatlas.errors import UsageError
from zatlas.export import Parts, parts_of
from zatlas.runs.opened import Run
from zatlas.runs.training import train

__all__ = ["zatlas"]

MODEL: dict[str, dict[str, Any]] = {
    "ladder": {"size": "xs", "latent_dim": 2, "levels": 2},
    "vqvae": {"size": "xs", "latent_dim": 3, "codebook_size": 8, "code_dim": 2},
    "gan": {"size": "xs", "latent_dim": 4},
    "cgan": {"size": "xs", "latent_dim": 4},
    "ppca": {},
    "fa": {},
}


def standing(name: str) -> Any:
    """An untrained model of the laws, its weights moved from their start, as the part makers see a run."""
    data, values = cases.MODELS[name]
    try:
        cases.config((data, values))
    except UsageError:  # networks of one size only have no word for it
        values = {**values, "model": {key: value for key, value in values["model"].items() if key != "size"}}
    made = data, values
    model = cases.stirred(cases.built(made)).eval().model
    kind, spec = cases.config(made).kind, cases.source(made[0]).spec
    units = sum(model.latent_dims)
    return SimpleNamespace(model=model, kind=kind, spec=spec, latent_dim=units, priors=[])


def parts(name: str) -> Parts:
    return parts_of(standing(name))


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """``run("cvae")``: an opened run of that kind, trained on the digits for three steps, once."""
    made: dict[str, Run] = {}

    def opened(kind: str) -> Run:
        if kind not in made:
            model = {"kind": kind, **MODEL.get(kind, {"size": "xs"})}
            training = {"precision": "fp32", "threads": 1, "validations": 1, "steps": 3}
            config = make_config(("test", {"data": {"source": "digits"}, "model": model, "training": training}))
            made[kind] = train(config, out=Path(tmp_path_factory.mktemp("export")) / kind)
        return made[kind]

    return opened
