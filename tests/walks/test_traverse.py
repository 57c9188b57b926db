"""Units moved by themselves, and all at once."""

import numpy as np
import pytest

from zatlas.errors import UsageError
from zatlas.runs.opened import Run
from zatlas.walks import traverse


def test_units_come_in_order_of_their_rate(run):
    view = traverse(run("vae"), steps=3)
    assert (np.diff(view["rates"]) <= 0).all()
    assert view["mean"].shape == (3, 3, 1, 8, 8)
    assert view.frames.shape[0] == 3
    assert view.frames.dtype == np.uint8
    assert not (view.frames[0] == view.frames[2]).all()


def test_the_middle_is_the_row_it_goes_around(run):
    for kind in ("vae", "cvae"):
        codes = run(kind).encode(np.array([5]))
        view = traverse(run(kind), row=5, units=(1,), steps=3, span=0.0)
        z = codes.mean.copy()
        z[0, 1] = 0
        y = codes.y if kind == "cvae" else None
        np.testing.assert_allclose(view["mean"][0, 0], run(kind).decode(z, y).mean[0], atol=1e-6)


def test_no_units_at_all_are_refused(run):
    with pytest.raises(UsageError, match="no units are given"):
        traverse(run("vae"), units=())


@pytest.mark.parametrize("nats", [(0.5, 0.002, 0.2), (0.009, 0.5, 0.0), (0.1, 0.2, 0.3)])
def test_units_are_counted_as_dead_below_a_hundredth_of_a_nat(nats, run, monkeypatch):
    monkeypatch.setattr(Run, "unit_rates", lambda self: np.array(nats))
    view = traverse(run("vae"), steps=2)
    assert view["units"].tolist() == sorted(range(3), key=lambda unit: -nats[unit])
    dead = sum(rate < 0.01 for rate in nats)
    assert view.sentences == ((f"{dead} of the 3 units carry nothing: their rate is below 0.01 nats.",) if dead else ())


def test_an_autoencoder_has_no_rates(run):
    assert "rates" not in traverse(run("ae"), steps=2).arrays
    with pytest.raises(UsageError, match="no unit 4"):
        traverse(run("vae"), units=(3,))
