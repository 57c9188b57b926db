from __future__ import annotations

from collections.abc import Callable

import pytest

from tests import family
from zatlas.config import make_config
from zatlas.runs.opened import Run
from zatlas.runs.training import train

MODEL = {
    "ladder": {"latent_dim": 2, "levels": 2},
    "vqvae": {"latent_dim": 3, "codebook_size": 8, "code_dim": 2},
}


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """``run("cvae")``: an opened run of that kind, of three units, trained on the digits for a few steps, once."""
    made: dict[tuple[str, str], Run] = {}

    def opened(kind: str, source: str = "digits") -> Run:
        if (kind, source) not in made:
            values = {
                "data": {"source": source},
                "model": {"kind": kind, **family.size(kind), **MODEL.get(kind, {"latent_dim": 3})},
                "training": {"steps": 4, "precision": "fp32", "threads": 1},
            }
            made[kind, source] = train(make_config(("test", values)), out=tmp_path_factory.mktemp("runs") / kind)
        return made[kind, source]

    return opened
