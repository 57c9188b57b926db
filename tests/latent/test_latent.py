"""Into the latent space, out of it, and through it."""

import numpy as np
import pytest
import torch

from zatlas.config import make_config
from zatlas.data import ArraySource, Batches
from zatlas.errors import UsageError
from zatlas.latent import decode, draw_codes, encode, manifold, plane_of_units, ticks, traverse
from zatlas.recipes import build_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return ArraySource("noise", rng.integers(0, 256, (30, 5, 4), dtype=np.uint8), rng.integers(0, 3, 30))


def model(data, kind="vae", **values):
    torch.manual_seed(0)
    return build_model(
        make_config(("test", {"model": {"kind": kind, "size": "xs", "latent_dim": 3, **values}})), data.spec
    )


def test_encoding_is_the_posteriors_mean_in_the_order_of_the_rows(data):
    m = model(data)
    batches = Batches(data, np.arange(30), batch_size=7, shuffle=False)
    codes = encode(m, batches.epoch(0), device=CPU)
    x = torch.from_numpy(data.read(np.arange(30))).float() / 255
    torch.testing.assert_close(torch.from_numpy(codes.mean), m.encoder(x).mean)
    torch.testing.assert_close(torch.from_numpy(codes.std), m.encoder(x).stddev)
    assert np.array_equal(codes.y.argmax(1), data.read_labels(np.arange(30)))


def test_decoding_does_not_depend_on_the_batch_and_draws_on_the_seed(data):
    m = model(data)
    z = np.random.default_rng(0).normal(size=(11, 3)).astype(np.float32)
    one, two = (decode(m, z, device=CPU, batch_size=b) for b in (11, 4))
    np.testing.assert_allclose(one.mean, two.mean, atol=1e-6)
    assert set(np.unique(one.draw)) <= {0.0, 1.0}
    assert np.array_equal(one.draw, decode(m, z, device=CPU, batch_size=11).draw)
    assert not np.array_equal(one.draw, decode(m, z, device=CPU, batch_size=11, seed=1).draw)


def test_networks_compute_in_bfloat16_where_asked_and_codes_are_float32(data):
    m, batches = model(data), Batches(data, np.arange(30), batch_size=30, shuffle=False)
    exact, rough = (encode(m, batches.epoch(0), device=CPU, precision=p).mean for p in ("fp32", "bf16"))
    shown, rougher = (decode(m, exact, device=CPU, precision=p).mean for p in ("fp32", "bf16"))
    for a, b in ((exact, rough), (shown, rougher)):
        assert b.dtype == np.float32
        assert not np.array_equal(a, b)
        np.testing.assert_allclose(a, b, atol=0.05)


def test_a_conditional_model_decodes_with_its_labels(data):
    m = model(data, "cvae")
    z = np.zeros((3, 3), np.float32)
    shown = decode(m, z, np.eye(3, dtype=np.float32), device=CPU).mean
    assert not np.allclose(shown[0], shown[1])


def test_codes_are_drawn_from_the_prior_and_leave_chance_alone(data):
    m, before = model(data), torch.get_rng_state()
    z = draw_codes(m, 4000, device=CPU, seed=3)
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_allclose(z.mean(0), 0, atol=0.06)
    np.testing.assert_allclose(z.std(0), 1, atol=0.06)
    with pytest.raises(UsageError, match="no distribution over codes"):
        draw_codes(model(data, "ae"), 4, device=CPU)


def test_the_manifold_puts_each_code_where_its_axes_say():
    show = lambda z: z[:, None, None, :]  # an image of 1x1xD that shows its own code
    even = manifold(show, plane_of_units(4, (1, 3), np.full(4, 9.0)), ticks(5, 2.0))
    assert even.images.shape == (5, 5, 1, 1, 4)
    np.testing.assert_allclose(even.a, [-2, -1, 0, 1, 2])
    np.testing.assert_allclose(even.images[0, 4, 0, 0], [9, 2, 9, 2])  # top right: both largest
    np.testing.assert_allclose(even.images[4, 0, 0, 0], [9, -2, 9, -2])
    quantiles = ticks(4, spacing="quantile")
    expected = torch.special.ndtri(torch.tensor([0.125, 0.375, 0.625, 0.875], dtype=torch.float64))
    np.testing.assert_allclose(quantiles, expected, rtol=1e-9)


def test_a_traversal_moves_one_unit_a_row():
    walk = traverse(lambda z: z[:, None, None, :], latent_dim=3, units=[2, 0], steps=3, span=1.5)
    assert walk.images.shape == (2, 3, 1, 1, 3)
    np.testing.assert_allclose(walk.images[0, :, 0, 0], [[0, 0, -1.5], [0, 0, 0], [0, 0, 1.5]])
    np.testing.assert_allclose(walk.images[1, 2, 0, 0], [1.5, 0, 0])
