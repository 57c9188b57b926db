"""Run folders that zatlas 0.1 wrote open, give what they gave, and are trained further."""

import shutil

import numpy as np
import pytest

import zatlas
from tests.conftest import SHARED
from zatlas.runs.training import resume

OLD = SHARED / "reference" / "runs-0.1"
KINDS = ("ae", "cvae", "fa", "gan", "ladder", "ppca", "vae", "vqvae")
pytestmark = pytest.mark.skipif(not OLD.is_dir(), reason=f"no runs of 0.1 under {SHARED}; set ZATLAS_SHARED")


@pytest.mark.parametrize("kind", KINDS)
def test_it_gives_what_it_gave(kind, tmp_path):
    run = zatlas.open(shutil.copytree(OLD / kind, tmp_path / kind))
    with np.load(OLD / kind / "expected.npz") as expected:
        known = dict(expected)
    found = {}
    if "z" in known:
        found["decoded"] = run.decode(known["z"], known.get("y")).mean
    if "rows" in known:
        codes = run.encode(known["rows"])
        found |= {"mean": codes.mean, "std": codes.std}
    if "sample_seed0" in known:
        found["sample_seed0"] = run.sample(len(known["sample_seed0"]), seed=0)[0].mean
    assert len(found) >= 2
    for name, value in found.items():
        np.testing.assert_allclose(value, known[name], rtol=1e-5, atol=1e-5)  # another processor rounds otherwise


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("fa", "ppca")])
def test_it_is_trained_further(kind, tmp_path):
    run = resume(shutil.copytree(OLD / kind, tmp_path / kind), changes={"steps": 63})
    assert run.step == 63
    assert run.folder.record["status"] == "finished"
