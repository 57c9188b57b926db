"""Which figures are points of a curve, and of how many samples."""

from zatlas.measure.curves import curves


def figure(value, estimator, **more):
    return {"value": value, "standard_error": None, "count": 3, "estimator": estimator, **more}


def test_points_say_their_samples_and_those_of_0_1_say_them_in_words():
    today = {
        "importance.log_likelihood": figure(-3.0, "by some words", samples=100),
        "importance.log_likelihood_1": figure(-5.0, "by other words", samples=1),
        "importance.effective_sample_size": figure(7.0, "bound, 100 samples per example"),
        "annealed.log_likelihood": figure(-2.0, "chains", samples=4),
    }
    old = {
        "importance.log_likelihood": figure(-3.0, "bound, 100 samples per example"),
        "importance.log_likelihood_1": figure(-5.0, "bound, 1 sample per example"),
        "importance.effective_sample_size": figure(7.0, "bound, 100 samples per example"),
    }
    for record in (today, old):
        assert [(p.samples, p.value) for p in curves(record)["importance"]] == [(1, -5.0), (100, -3.0)]
        assert set(curves(record)) == {"importance"}
