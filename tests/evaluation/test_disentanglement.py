"""The laws of the measures of disentanglement."""

import json
import math

import numpy as np
import pytest

from zatlas.evaluation.disentanglement import (
    FactorTable,
    beta_vae,
    dci,
    dci_forest,
    explicitness,
    factor_vae,
    irs,
    mig_histogram,
    mig_sampled,
    modularity,
    sap,
    sap_correlation,
    score_all,
    udr,
)
from zatlas.evaluation.disentanglement.dci import concentration
from zatlas.evaluation.disentanglement.information import entropy
from zatlas.evaluation.disentanglement.modularity import one_against_rest
from zatlas.evaluation.disentanglement.udr import pair_score

GRID = np.indices((2, 3, 4, 5)).reshape(4, -1).T.repeat(5, axis=0)  # a full grid, five times over
FEW = {"train": 600, "test": 300}  # trials of the measures that draw


def mixed(n=1200, seed=0):
    """Six units that are noisy mixtures of four factors."""
    rng = np.random.default_rng(seed)
    factors = rng.integers((2, 3, 4, 5), size=(n, 4))
    standard = (factors - factors.mean(0)) / factors.std(0)
    return standard @ rng.standard_normal((4, 6)) + 0.3 * rng.standard_normal((n, 6)), factors


def rotated(codes):
    """Every one of four units has an equal share of all four factors."""
    signs = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])
    return (codes - codes.mean(0)) / codes.std(0) @ signs / 2


MEASURES = {
    "mig": mig_histogram,
    "mig_sampled": lambda z, v: mig_sampled(z, np.full_like(z, -6.0), v, samples=400),
    "modularity": modularity,
    "irs": irs,
    "sap_correlation": sap_correlation,
    "sap": lambda z, v: sap(z, v, z, v),
    "explicitness": lambda z, v: explicitness(z, v, z, v),
    "dci_forest": lambda z, v: dci_forest(z, v, z, v, workers=1),
    "factor_vae": lambda z, v: factor_vae(z.__getitem__, v, **FEW),
    "beta_vae": lambda z, v: beta_vae(z.__getitem__, v, **FEW),
}


@pytest.mark.parametrize(
    ("name", "low"),
    [
        ("mig", 1 - 1e-9),
        ("mig_sampled", 0.98),
        ("modularity", 1 - 1e-9),
        ("irs", 1 - 1e-9),
        ("sap_correlation", 1 - 1e-9),
        pytest.param("dci_forest", 0.999, marks=pytest.mark.slow),
        ("factor_vae", 1.0),
        ("beta_vae", 0.95),
    ],
)
def test_a_unit_for_each_factor_scores_one_and_its_rotation_less(name, low):
    perfect, turned = (MEASURES[name](z, GRID).value for z in (GRID.astype(float), rotated(GRID)))
    assert low <= perfect <= 1 + 1e-9
    assert turned < perfect - 0.25


@pytest.mark.slow
def test_so_it_is_by_boosted_trees():
    v = GRID[::3]
    perfect, turned = (dci(z, v, z, v, workers=1) for z in (GRID.astype(float)[::3], rotated(GRID)[::3]))
    assert perfect.value > 0.99
    assert perfect.parts["completeness"] > 0.99
    assert turned.value < perfect.value - 0.25


def test_sap_of_two_balanced_values_is_a_half_at_most():
    factors = np.indices((2, 2, 2)).reshape(3, -1).T.repeat(20, axis=0)
    assert sap(factors, factors, factors, factors).value == pytest.approx(0.5)


@pytest.mark.parametrize(
    "name", ["mig", "mig_sampled", "sap_correlation", "sap", pytest.param("dci_forest", marks=pytest.mark.slow)]
)
def test_codes_of_other_examples_score_next_to_nothing(name):
    codes, factors = mixed(1500 if name == "dci_forest" else 3000)
    shuffled = np.random.default_rng(1).permutation(factors)
    assert MEASURES[name](codes, factors).value > 0.05 or name == "sap"
    assert MEASURES[name](codes, shuffled).value < 0.04


def test_chance_is_what_is_left_of_the_others():
    codes, factors = mixed(3000)
    shuffled = np.random.default_rng(1).permutation(factors)
    half, rest = slice(1500), slice(1500, None)
    assert abs(explicitness(codes[half], shuffled[half], codes[rest], shuffled[rest]).parts["normalised"]) < 0.06
    for name in ("factor_vae", "beta_vae"):
        score = MEASURES[name](codes, shuffled)
        assert score.value < 0.25 + 4 * math.sqrt(0.19 / FEW["test"]) + 0.05


@pytest.mark.parametrize("name", ["mig", "modularity", "irs", "sap_correlation", "factor_vae"])
def test_the_order_the_scale_and_the_origin_of_units_do_not_matter(name):
    codes, factors = mixed()
    scale = 4 if name == "irs" else np.array([0.5, 2, 4, 8, 16, 32])  # in IRS a unit weighs by its range
    other = codes[:, ::-1] * scale + 64
    first, second = MEASURES[name](codes, factors), MEASURES[name](other, factors)
    assert second.value == pytest.approx(first.value, abs=1e-9)


@pytest.mark.slow
def test_trees_see_only_the_order_of_values():
    codes, factors = mixed(600)
    first, second = (dci_forest(z, factors, z, factors, workers=1).value for z in (codes, codes**3))
    assert second == pytest.approx(first, abs=0.05)  # these draw their thresholds between the extremes


def test_the_scale_of_posteriors_does_not_matter_to_their_information():
    codes, factors = mixed(300)
    spread = np.random.default_rng(0).normal(-3, 0.5, codes.shape)
    first = mig_sampled(codes, spread, factors)
    second = mig_sampled(8 * codes + 1, spread + 2 * math.log(8), factors)
    np.testing.assert_allclose(second.matrices["information"], first.matrices["information"], atol=1e-4)


def test_information_of_draws_is_the_integral():
    """Two values, at -m and m, of a unit with variance s2: I = log 2 - E[log(1 + exp(-2 m z / s2))]."""
    m, s2, n = 1.0, 0.8, 4000
    factors = np.arange(n)[:, None] % 2
    means = np.where(factors, m, -m).astype(float)
    score = mig_sampled(means, np.full_like(means, math.log(s2)), np.hstack([factors, factors]))
    z = np.linspace(-12, 14, 20_001)
    density = np.exp(-((z - m) ** 2) / (2 * s2)) / math.sqrt(2 * math.pi * s2)
    exact = math.log(2) - np.trapezoid(density * np.logaddexp(0, -2 * m * z / s2), z)
    assert score.matrices["information"][0, 0] == pytest.approx(exact, abs=0.03)  # four spreads of 4000 draws


def test_information_of_draws_is_the_sum_over_all_posteriors():
    from zatlas.evaluation.disentanglement.mig import _log_ratios

    rng = np.random.default_rng(0)
    mean, log_variance, noise = rng.normal(3, 1, 150), rng.normal(-2, 1.5, 150), rng.standard_normal(150)
    value = rng.integers(3, size=150)
    labels = (value[:, None] == np.arange(3)).astype(np.float32)
    shares = labels.mean(axis=0, dtype=np.float64)[:, None]
    found = _log_ratios(mean, log_variance, np.arange(150), noise, labels, shares)[:, 0]
    z = mean + np.exp(log_variance / 2) * noise
    q = np.exp(-((z[:, None] - mean) ** 2) / (2 * np.exp(log_variance)) - log_variance / 2)
    same = value[:, None] == value
    np.testing.assert_allclose(found, np.log((q * same).sum(1) / same.sum(1)) - np.log(q.mean(1)), atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("measure", [mig_histogram, modularity])
def test_the_standard_error_is_the_spread_over_data_sets(measure):
    pool = mixed(18_000)  # of fewer points the error of a gap is often not known
    parts = [(pool[0][i::12], pool[1][i::12]) for i in range(12)]
    scores = [measure(*part) for part in parts]
    spread = np.std([s.value for s in scores], ddof=1)
    assert 0.5 < np.nanmedian([s.figure.standard_error for s in scores]) / spread < 2


def aligned(n, seed):
    factors = mixed(n, seed)[1]
    noise = np.random.default_rng(seed + 999).standard_normal((n, 6))
    return np.concatenate([factors + 0.3 * noise[:, :4], noise[:, 4:]], axis=1), factors


TABLES = {
    "mixed": lambda s: tuple(x[s * 300 : s * 300 + 300] for x in POOL),
    "aligned": lambda s: aligned(300, s),
    "unrelated": lambda s: (np.random.default_rng(s).standard_normal((300, 6)), mixed(300, s)[1]),
}
POOL = mixed(18_000)


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("measure", [mig_histogram, modularity, sap_correlation])
def test_standard_errors_cover_when_the_points_are_redrawn(measure, table):
    """The bootstrap's covered 93 to 95 of 100 where the codes are unrelated to the factors."""
    figures = [measure(*TABLES[table](seed)).figure for seed in range(60)]
    values, errors = (np.array([getattr(f, name) for f in figures]) for name in ("value", "standard_error"))
    known = ~np.isnan(errors)
    assert all("not known" in f.caution for f in figures if math.isnan(f.standard_error))
    if known.sum() < 20:
        assert table != "mixed"  # where it is open which unit leads
    else:
        # two spreads of so few; of aligned codes the error of modularity, which is nearly 1, is known to be too large
        most = 0.95 if (table, measure) == ("aligned", modularity) else 0.85
        assert 0.5 <= np.mean((np.abs(values - values.mean()) <= errors)[known]) <= most


def test_the_error_of_draws_is_not_known_and_says_so():
    codes, factors = mixed(400)
    figure = mig_sampled(codes, np.full_like(codes, -3.0), factors, samples=200).figure
    assert math.isnan(figure.standard_error)
    assert "not known" in figure.caution


@pytest.mark.parametrize("case", ["dead", "parity"])
def test_a_unit_that_tells_of_no_factor_is_not_modular(case):
    """Rounding left 2e-16 nats of one factor and 0 of the others, which was taken for perfect modularity."""
    for sizes in ((2, 3, 4, 5), (4, 6, 7, 10), (2, 10, 3, 7), (6, 12, 5, 9)):
        factors = np.indices(sizes).reshape(4, -1).T
        if case == "dead":
            factors = factors[np.random.default_rng(0).integers(len(factors), size=1000)]
        unit = (
            np.full(len(factors), 0.37) if case == "dead" else factors[:, 0] % 2 ^ factors[:, 1] % 2
        )  # of both together
        if case == "parity" and (sizes[0] % 2 or sizes[1] % 2):
            continue  # not independent of each alone
        score = modularity(np.concatenate([factors, unit[:, None]], axis=1).astype(np.float32), factors)
        assert score.matrices["unit"][4] == 0
        assert (score.matrices["information"][4] == 0).all()
        assert score.value == pytest.approx(score.matrices["unit"][:4].sum() / 5)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "dci_forest" else ()) for name in MEASURES]
)
@pytest.mark.parametrize("case", ["dead unit", "constant factor", "all dead", "all constant", "one unit", "few"])
def test_odd_tables_give_a_number_and_say_so(name, case):
    codes, factors = mixed(400)
    if case == "dead unit":
        codes[:, 2] = 0.7
    elif case == "constant factor":
        factors[:, 1] = 3
    elif case == "all dead":
        codes[:] = 0.1
    elif case == "all constant":
        factors[:] = 3
    elif case == "one unit":
        codes = codes[:, :1]
    else:
        codes, factors = codes[:30], factors[:30]
    score = MEASURES[name](codes, factors)
    assert 0 <= score.value <= 1
    assert all(np.isfinite(number) for number in score.parts.values())
    assert all(np.isfinite(matrix).all() for matrix in score.matrices.values())
    assert score.warnings or (case == "one unit" and name.endswith("vae"))


@pytest.mark.slow
def test_a_constant_factor_takes_no_part():
    codes, factors = mixed(300)
    more = np.insert(factors, 2, 5, axis=1)
    for name in ("mig", "modularity", "irs", "sap", "explicitness", "dci_forest"):
        first, second = MEASURES[name](codes, factors), MEASURES[name](codes, more)
        assert second.value == pytest.approx(first.value, abs=1e-12), name
        assert any("factor 2 never change" in sentence for sentence in second.warnings)


WRONG = {
    "rows and the factors": lambda z, v: (z[:-1], v),
    "at least 20 are needed": lambda z, v: (z[:19], v[:19]),
    "NaN or infinity in 1 of": lambda z, v: (np.where(np.arange(z.size).reshape(z.shape) == 7, np.nan, z), v),
    "whole numbers": lambda z, v: (z, v + 0.5),
    "must be a table": lambda z, v: (z[:, 0], v),
    "column for each factor": lambda z, v: (z, v[:, 0]),
    "must be real numbers": lambda z, v: (z + 1j, v),
    "too few rows each": lambda z, v: (z, np.arange(len(z))[:, None]),
}


@pytest.mark.parametrize("message", WRONG)
@pytest.mark.parametrize("name", ["mig", "mig_sampled", "irs", "sap", "explicitness", "dci_forest"])
def test_tables_that_cannot_be_are_refused(name, message):
    with pytest.raises(ValueError, match=message):
        MEASURES[name](*WRONG[message](*mixed(60)))


def test_other_mismatches_are_refused():
    codes, factors = mixed(60)
    with pytest.raises(ValueError, match="same columns"):
        sap(codes, factors, codes[:, :2], factors)
    with pytest.raises(ValueError, match="must be alike"):
        mig_sampled(codes, codes[:, :2], factors)
    with pytest.raises(ValueError, match=r"must give \[640, D\]"):
        factor_vae(lambda rows: codes[:3], factors, variance_rows=640)
    with pytest.raises(ValueError, match="NaN"):
        beta_vae(lambda rows: np.full((len(rows), 2), np.nan), factors)


def test_two_units_for_one_factor_are_disentangled_and_incomplete():
    twice = np.hstack([GRID, GRID])
    score = dci_forest(twice, GRID, twice, GRID, workers=1)
    assert score.value == pytest.approx(1, abs=1e-3)
    assert score.parts["completeness"] < 0.9


def test_a_unit_that_hardly_varies_has_no_vote():
    noise = np.random.default_rng(0).normal(0, 0.1, GRID.shape)
    codes = np.hstack([GRID + noise, 0.01 * GRID])  # the exact ones, were they asked
    score = factor_vae(codes.__getitem__, GRID, **FEW)
    assert not score.matrices["votes"][4:].any()
    assert "units 4, 5, 6, 7 hardly vary" in score.warnings[0]


def test_partners_share_the_factor_and_are_drawn_evenly():
    rng = np.random.default_rng(0)
    factors = np.array([[0, 5], [0, 6], [0, 5], [1, 6], [1, 5], [7, 6]])
    rows, fixed = rng.integers(6, size=(4000, 3)), rng.integers(2, size=4000)
    found = FactorTable(factors).partners(rows, fixed, rng)
    assert (factors[rows, fixed[:, None]] == factors[found, fixed[:, None]]).all()
    of_first = found[(rows == 0) & (fixed[:, None] == 0)]
    shares = np.bincount(of_first, minlength=6) / len(of_first)
    np.testing.assert_allclose(shares, [1 / 3, 1 / 3, 1 / 3, 0, 0, 0], atol=4 * math.sqrt(2 / 9 / len(of_first)))


@pytest.mark.slow
def test_the_same_seed_gives_the_same_score():
    codes, factors = mixed(150)
    for name in ("factor_vae", "beta_vae", "dci_forest", "mig_sampled"):
        assert MEASURES[name](codes, factors).to_json() == MEASURES[name](codes, factors).to_json()


def test_areas_under_the_curve_are_scikit_learns():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    positive, scores = rng.random((50, 3)) < 0.3, np.round(rng.random((50, 3)), 1)  # with ties
    np.testing.assert_allclose(one_against_rest(scores, positive), roc_auc_score(positive, scores, average=None))
    assert np.isnan(one_against_rest(scores, np.zeros_like(positive))).all()


def test_concentration_is_one_minus_the_entropy_of_shares():
    assert concentration(np.eye(3)) == pytest.approx(1)
    assert concentration(np.ones((2, 3))) == pytest.approx(0)
    assert concentration(np.zeros((2, 3))) == 0
    assert concentration(np.array([[2.0, 0.0], [1.0, 1.0]])) == pytest.approx(0.5)
    assert entropy(np.array([0.25] * 4)) == pytest.approx(math.log(4))


def test_agreement_is_squared_and_shared_out():
    assert pair_score(np.eye(4)[::-1]) == pytest.approx(1)
    assert pair_score(np.full((2, 2), 0.5)) == pytest.approx(0.25)
    assert pair_score(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])) == pytest.approx(4 / 5)


@pytest.mark.parametrize("similarity", ["lasso", "spearman"])
def test_runs_that_found_the_same_units_agree(similarity):
    rng = np.random.default_rng(0)
    units = rng.standard_normal((2000, 4))
    same = [units, -2 * units[:, [2, 0, 3, 1]], units[:, ::-1] + 1]
    turned = [units @ np.linalg.qr(rng.standard_normal((4, 4)))[0] for _ in range(3)]
    agree, differ = (udr(runs, similarity=similarity) for runs in (same, turned))
    assert agree.value > 0.85
    assert differ.value < 0.7
    monotone = udr([units, np.exp(units), units**3], similarity="spearman")
    assert monotone.value == pytest.approx(udr([units] * 3, similarity="spearman").value, abs=1e-9)


def test_units_without_a_rate_and_lone_runs():
    rng = np.random.default_rng(0)
    units = rng.standard_normal((500, 3))
    noisy = [np.hstack([units, rng.standard_normal((500, 2))]) for _ in range(3)]
    rates = [np.array([1.0, 1.0, 1.0, 0.0, 0.005])] * 3
    clean = udr([units] * 3, similarity="spearman")
    assert udr(noisy, unit_rates=rates, similarity="spearman").value == pytest.approx(clean.value)
    assert udr(noisy, similarity="spearman").value < clean.value - 0.1
    dead = udr([units, units, np.zeros_like(units)])
    assert "run 2" in dead.warnings[0]
    assert dead.matrices["run"][2] == 0
    for wrong, message in (([units], "at least 2"), ([units, units[:-1]], "same examples")):
        with pytest.raises(ValueError, match=message):
            udr(wrong)
    with pytest.raises(ValueError, match="one number for each"):
        udr([units, units], unit_rates=[np.ones(2), np.ones(3)])


@pytest.mark.slow
def test_the_suite_names_every_measure_and_fits_in_json():
    codes, factors = mixed(120)
    told = []
    spread = np.full_like(codes, -3.0)
    scores = score_all(codes, factors, codes, factors, log_variances=spread, boosted=False, progress=told.append)
    assert told == list(scores)
    assert set(scores) == {"mig", *MEASURES}
    record = json.loads(json.dumps({name: score.to_json() for name, score in scores.items()}, allow_nan=False))
    assert all(entry["estimator"] and entry["count"] > 0 for entry in record.values())
    assert len({entry["estimator"] for entry in record.values()}) == len(record)
