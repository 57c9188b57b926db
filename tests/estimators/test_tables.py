"""Tables of real columns: a start that is factor analysis exactly, and nothing worse than that at the end."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.model_selection import KFold

from zatlas import VAE, AutoEncoder, ConditionalVAE

UNTRAINED = {"network": "table", "steps": 1, "learning_rate": 1e-12}


@pytest.mark.slow
@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_digits])
def test_the_default_is_no_worse_than_pca_out_of_sample(load):
    """The bound of one draw against PCA's exact log p(x); it lost on iris, after 16 s."""
    x = load().data
    train, test = next(iter(KFold(5, shuffle=True, random_state=0).split(x)))
    vae = VAE().fit(x[train])
    assert vae.config_.network_kind == "table"
    assert vae.score(x[test]) > PCA(2).fit(x[train]).score(x[test])


def test_the_start_is_factor_analysis():
    """Posterior and density are exact: every draw of z gives the same log p(x), and it is scikit-learn's."""
    x = load_wine().data
    x = np.random.default_rng(0).normal(size=(len(x), 1)) * 1e-9 + x  # no step between values, so no floor for rounding
    vae = VAE(latent_dim=3, **UNTRAINED).fit(x)
    scale, n = x.std(0), len(x)
    reference = FactorAnalysis(3, tol=1e-4 * n, svd_method="lapack").fit((x - x.mean(0)) / scale)
    reference.noise_variance_ = (n * reference.noise_variance_ + 1) / (n + 1)
    exact = reference.score_samples((x - x.mean(0)) / scale) - np.log(scale).sum()
    np.testing.assert_allclose(vae.score_samples(x, samples=2), exact, atol=0.02)
    codes = reference.transform((x - x.mean(0)) / scale)
    np.testing.assert_allclose(np.linalg.norm(vae.transform(x), axis=1), np.linalg.norm(codes, axis=1), rtol=1e-3)


@pytest.mark.slow
def test_the_best_state_is_kept_even_if_it_is_the_start():
    x = np.random.default_rng(0).normal(size=(60, 3))  # there is nothing to learn
    vae = VAE(learning_rate=0.5).fit(x)
    lines = [line for line in vae.history_ if line["split"] == "validation"]
    assert lines[0]["step"] == 0
    assert vae._best.state["step"] == min(lines, key=lambda line: line["loss"])["step"]
    assert vae.loss_ == pytest.approx(min(line["loss"] for line in lines), abs=0.3)


def test_columns_in_any_unit():
    """The density of a column in other units is that of the change of variables, at the same fit."""
    x = load_iris().data
    units = np.array([1e-3, 1.0, 50.0, 1e4])
    one, other = VAE(**UNTRAINED).fit(x), VAE(**UNTRAINED).fit(x * units)
    np.testing.assert_allclose(
        other.score_samples(x * units, samples=3), one.score_samples(x, samples=3) - np.log(units).sum(), atol=0.05
    )


def test_no_column_earns_an_unbounded_density():
    rng = np.random.default_rng(0)
    flat = np.c_[rng.normal(size=(80, 2)), np.full(80, 7.0), (np.arange(80) == 5).astype(float)]
    vae = VAE(**UNTRAINED).fit(flat)
    noise = vae.model_.decoder.likelihood.scale
    assert noise[2] == 1
    assert noise[3] >= 0.28  # values one apart are known to 1 / sqrt(12)
    strange = flat[:1] + np.array([0, 0, 0, 5])
    assert vae.score(strange) > -300


@pytest.mark.parametrize("shape", [(40, 1), (3, 5), (40, 3)])
def test_more_units_than_columns_or_rows(shape):
    x = np.random.default_rng(0).normal(size=shape)
    assert VAE(latent_dim=6, steps=40).fit(x).transform(x).shape == (len(x), 6)


@pytest.mark.parametrize("posterior", ["diagonal", "full", "flow"])
def test_every_posterior_starts_there(posterior):
    x = load_iris().data
    settings = {"settings": {"model.posterior": posterior}, **UNTRAINED}
    assert VAE(**settings).fit(x).score(x) == pytest.approx(VAE(**UNTRAINED).fit(x).score(x), abs=0.4)


def test_it_is_saved_and_labels_go_with_it(tmp_path):
    import zatlas

    x, y = load_iris(return_X_y=True)
    cvae = ConditionalVAE(steps=20).fit(x, y)
    assert cvae.config_.network_kind == "table"
    again = zatlas.load(cvae.save(tmp_path / "run"))
    np.testing.assert_array_equal(again.transform(x, y), cvae.transform(x, y))


def test_what_is_no_table():
    x = load_iris().data
    assert VAE(steps=1, likelihood="gaussian").fit(x).config_.network_kind == "mlp"
    assert VAE(steps=1, network="mlp").fit(x).config_.network_kind == "mlp"
    assert AutoEncoder(steps=1).fit(x).config_.network_kind == "mlp"
    assert VAE(steps=1, size="xs").fit((x * 10).astype(np.uint8)).config_.network_kind == "mlp"
    with pytest.raises(ValueError, match="table network wants"):
        VAE(steps=1, network="table").fit((x * 10).astype(np.uint8))
    with pytest.raises(ValueError, match=r"network.kind = 'table' goes with"):
        AutoEncoder(steps=1, network="table").fit(x)


def test_the_same_seed_gives_the_same_weights():
    x = load_iris().data
    one, two = (VAE(steps=10).fit(x).model_.state_dict() for _ in range(2))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
