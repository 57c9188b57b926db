"""scikit-learn's contract: its own checks, and its tools over the estimators."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from zatlas import GAN, VAE, VQVAE, ConditionalGAN, ConditionalVAE, FactorAnalysis, LadderVAE, ProbabilisticPCA

from .conftest import KINDS, TINY

pytestmark = pytest.mark.slow

QUICK = {"steps": 5, "size": "xs", "batch_size": 32}
CHECKED = [
    *(kind(**QUICK) for kind in KINDS),
    LadderVAE(latent_dim=2, levels=2, **QUICK),
    VQVAE(latent_dim=3, codebook_size=8, code_dim=2, **QUICK),
    *(kind(latent_dim=4, **QUICK) for kind in (GAN, ConditionalGAN)),
    *(kind(latent_dim=1) for kind in (ProbabilisticPCA, FactorAnalysis)),
]


# No check is expected to fail: expected_failed_checks is empty on purpose, and must stay so.
@parametrize_with_checks(CHECKED, expected_failed_checks=lambda _: {})
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("kind", [*KINDS, LadderVAE, VQVAE])
def test_clone_deepcopy_and_pickle(kind, digits):
    x, y = digits
    fitted = kind(**TINY).fit(x[:100], y[:100])
    assert not hasattr(clone(fitted), "model_")
    assert clone(fitted).get_params() == fitted.get_params()
    for twin in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        assert twin.model_ is twin._trained.model
        np.testing.assert_array_equal(twin.transform(x[:20]), fitted.transform(x[:20]))
        np.testing.assert_array_equal(twin.score_samples(x[:20]), fitted.score_samples(x[:20]))
        before = fitted.transform(x[:20])
        twin.partial_fit(x[:100], y[:100])
        np.testing.assert_array_equal(fitted.transform(x[:20]), before)


@pytest.mark.parametrize("kind", KINDS)
def test_in_a_pipeline(kind, digits):
    x, y = digits[0].reshape(500, -1).astype(float), digits[1]
    pipeline = make_pipeline(
        MinMaxScaler(), kind(latent_dim=5, size="xs", steps=150), LogisticRegression(max_iter=2000)
    )
    # codes of what y does not say tell y badly, which is what a conditional model is for; a guess is right in a tenth
    assert pipeline.fit(x[:400], y[:400]).score(x[400:], y[400:]) > (0.1 if kind is ConditionalVAE else 0.3)


def test_pandas_out(digits):
    pandas = pytest.importorskip("pandas")
    x = pandas.DataFrame(digits[0].reshape(500, -1)[:100, 20:24].astype(float), columns=list("abcd"))
    table = VAE(**TINY).set_output(transform="pandas").fit_transform(x)
    assert list(table.columns) == ["vae0", "vae1"]
    assert len(table) == 100


@pytest.mark.slow
def test_grid_search_prefers_a_sane_beta(digits):
    grid = GridSearchCV(VAE(latent_dim=5, size="xs", steps=300), {"beta": [1.0, 300.0]}, cv=2)
    assert grid.fit(digits[0]).best_params_ == {"beta": 1.0}


@pytest.mark.slow
def test_in_other_processes(digits):
    x, y = digits
    alone = cross_val_score(ConditionalVAE(**TINY, device="cpu"), x, y, cv=2)
    together = cross_val_score(ConditionalVAE(**TINY, device="cpu"), x, y, cv=2, n_jobs=2)
    np.testing.assert_allclose(alone, together, rtol=1e-5)
