"""Weights in few bits."""

import numpy as np

from zatlas.explorer import rounding


def test_errors_made_good_in_later_columns_change_the_outputs_less():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2000, 12)) @ rng.standard_normal((12, 200)) + 0.1 * rng.standard_normal((2000, 200))
    values = rng.standard_normal((50, 200)).astype(np.float32)
    plain = rounding.Weight("w", values)
    good = rounding.Weight("w", values, rounding._factor(x.astype(np.float32)))
    turned = rounding.Weight("w", values.T, good.factor, turned=True)
    step = plain.step(4)
    error = lambda weight: float(np.square(x @ (weight.whole(step) * step - values).T).mean())
    within = [weight.whole(step)[:, : rounding.COLUMNS] for weight in (plain, good)]
    assert error(good) < error(plain) / 10  # columns beyond the first block are told as well
    assert not np.array_equal(*within)
    np.testing.assert_array_equal(turned.whole(step), good.whole(step).T)
