"""The family in words says what the configuration says, and every default of a kind is a configuration."""

from __future__ import annotations

from typing import get_args

import pytest

from zatlas.cli.app import main
from zatlas.config import Likelihood, ModelConfig, Network, kinds, make_config


def words(field):
    return set(get_args(ModelConfig.model_fields[field].annotation))


def test_every_word_of_the_configuration_is_explained():
    assert set(kinds.MODELS) == set(get_args(kinds.ModelKind))
    assert set(kinds.OBJECTIVES) == set(get_args(kinds.ObjectiveKind))
    assert set(kinds.NETWORKS) == set(get_args(Network)) - {"auto"}
    assert set(kinds.LIKELIHOODS) == set(get_args(Likelihood)) - {"auto"}
    assert set(kinds.PRIORS) == words("prior")
    assert set(kinds.POSTERIORS) == words("posterior")


def test_every_objective_goes_with_a_model():
    assert {name for kind in kinds.MODELS.values() for name in kind.objectives} == set(kinds.OBJECTIVES)


@pytest.mark.parametrize("kind", kinds.MODELS)
def test_the_defaults_of_a_kind_are_a_configuration_and_give_way_to_words(kind):
    for objective in kinds.MODELS[kind].objectives:
        keys = {"target_nats": 5.0} if objective == "constrained" else {}
        config = make_config(("here", {"model": {"kind": kind}, "objective": {"kind": objective, **keys}}))
        wanted = kinds.OBJECTIVE_DEFAULTS.get(objective, kinds.MODELS[kind].defaults)
        for section, values in wanted.items():
            for key, value in values.items():
                assert getattr(getattr(config, section), key) == value
        said = make_config(("here", {"model": {"kind": kind}, "training": {"learning_rate": 0.25}}))
        assert said.training.learning_rate == 0.25
        assert said.objective.kind == kinds.MODELS[kind].objectives[0]


def test_the_command_says_when_to_use_what(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["zatlas", "models", "--json"])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    said = capsys.readouterr().out
    assert all(kind.when in said for kind in kinds.MODELS.values())
    assert all(text in said for text in kinds.OBJECTIVES.values())
