"""The verdict on posterior collapse, from the bound alone."""

from __future__ import annotations

import math

import pytest

from zatlas.latent import unit_names
from zatlas.measure.verdict import REMEDY, verdict


def test_a_posterior_that_left_its_prior_everywhere():
    assert verdict(3.5, [1.5, 2.0]) == "2 of 2 units carry 0.01 nats or more: none has collapsed."


def test_units_that_stay_at_the_prior_are_counted():
    said = verdict(9.0, [3.0] * 3 + [0.0, 0.009], latent_dims=(5,))
    assert said.startswith("3 of 5 units carry")
    assert "the other 2 stay at the prior" in said
    assert "level" not in said
    assert verdict(3.0, [3.0, 0.0]).startswith("1 of 2 units carries")
    assert "4 of 5 units carry 0.01 nats or more; the other one stays" in verdict(9.0, [3.0] * 3 + [0.0, 0.01])


@pytest.mark.parametrize(("rate", "units"), [(0.02, [0.02, 0.0]), (0.0, [0.0]), (0.5, [0.005] * 100), (-0.01, [0.02])])
def test_a_collapse_names_the_rate_and_a_remedy(rate, units):
    said = verdict(rate, units, remedy="lower beta")
    assert f"has collapsed: the rate is {rate:.2f} nats" in said
    assert said.endswith("lower beta.")
    assert REMEDY in verdict(rate, units)


def test_idle_levels_of_a_ladder_are_named_top_first():
    assert verdict(4.0, [0.0, 0.0, 4.0], (2, 1)).endswith("Of the 2 levels, top first, 1 carries nothing.")
    assert verdict(4.0, [0.0, 4.0, 0.0], (1, 1, 1)).endswith("1, 3 carry nothing.")
    assert "levels" not in verdict(4.0, [0.0, 1.0, 3.0], (2, 1))


def test_a_broken_model_is_called_so():
    assert "broken" in verdict(math.nan, [math.nan])


def test_units_are_named_by_level_where_there_are_levels():
    assert unit_names((2,)) == ["z1", "z2"]
    assert unit_names((1, 2)) == ["z1.1", "z2.1", "z2.2"]
