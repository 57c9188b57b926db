"""The configuration: one file repeats it, later layers win, and what cannot be is refused by name."""

import tomllib

import pytest
import torch

from zatlas import experiment
from zatlas.cli.train import size
from zatlas.config import Config, known_keys, make_config, parse_set, preset, presets, read_toml
from zatlas.errors import UsageError
from zatlas.runs import Run


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"data": {"source": "photos/", "resize": (64, 48), "crop": 32, "channels": 1, "resident": False}},
        {"data": {"source": 'a "b" \\ c\n', "resize": 28, "labels": "ünï"}},
        {"model": {"kind": "cvae", "prior": "conditional"}, "objective": {"beta": 4.0, "beta_warmup_steps": 3}},
        {"model": {"kind": "ae"}, "training": {"seconds": 1e-3, "learning_rate": 1e-12, "target_loss": -5.0}},
        *presets().values(),
    ],
)
def test_a_file_says_all_of_it(values, tmp_path):
    config = make_config(("test", values))
    path = tmp_path / "config.toml"
    path.write_text(config.to_toml(), encoding="utf-8")
    again = make_config((str(path), read_toml(path)))
    assert again == config
    assert again.to_toml() == config.to_toml()
    assert isinstance(again.data.resize, tuple) == isinstance(config.data.resize, tuple)


def test_every_value_that_is_not_none_is_in_the_file():
    written = tomllib.loads(Config().to_toml())
    missing = {key for key in known_keys() if key.split(".")[1] not in written[key.split(".")[0]]}
    values = Config().model_dump()
    assert missing == {key for key in known_keys() if values[key.split(".")[0]][key.split(".")[1]] is None}


def test_later_layers_win():
    config = make_config(
        ("preset", preset("course-vae")),
        ("file", {"model": {"latent_dim": 3, "network": "mlp"}}),
        ("the options", {"model": {"latent_dim": 4}}),
        ("--set", parse_set(["training.batch_size=64"])),
    )
    assert (config.model.latent_dim, config.model.network, config.training.batch_size) == (4, "mlp", 64)
    assert config.training.epochs == 10


def test_layers_are_not_changed_by_merging():
    first = {"model": {"latent_dim": 3}}
    make_config(("one", first), ("two", {"model": {"latent_dim": 4}}))
    assert first == {"model": {"latent_dim": 3}}
    assert Config() == Config.model_validate({})


def test_a_combination_is_judged_when_all_layers_are_there():
    """A value that no longer fits may be put right by a later word; one that is wrong by itself is named at once."""
    layers = [("file", {"objective": {"beta": 4.0}}), ("the options", {"model": {"kind": "ae"}})]
    with pytest.raises(UsageError, match=r"the options: objective\.beta weighs the rate"):
        make_config(*layers)
    assert make_config(*layers, ("--set", parse_set(["objective.beta=1"]))).model.kind == "ae"
    with pytest.raises(UsageError, match=r"^file: model\.latent_dim"):
        make_config(("file", {"model": {"latent_dim": 0}}), ("the options", {"model": {"latent_dim": 2}}))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"model": {"kind": "ae"}, "objective": {"beta": 2.0}}, "objective.beta weighs the rate"),
        ({"model": {"kind": "ae"}, "objective": {"beta_warmup_steps": 2}}, "objective.beta weighs the rate"),
        ({"model": {"kind": "ae"}, "objective": {"capacity_nats": 2.0}}, "objective.capacity_nats needs a rate"),
        ({"model": {"prior": "conditional"}}, "model.prior = 'conditional' goes with"),
        ({"training": {"learning_rate": float("inf")}}, "training.learning_rate"),
        ({"data": {"resize": (1, 2, 3)}}, "data.resize"),
        ({"training": 3}, "training"),
        ({"trainning": {}}, "there is no trainning; did you mean training?"),
        ({"training": {"epoch": 3}}, "there is no training.epoch; did you mean training.epochs?"),
    ],
)
def test_what_cannot_be(values, says):
    with pytest.raises(UsageError) as refused:
        make_config(("here", values))
    assert str(refused.value).startswith("here: ")
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("training.seed=3", 3),
        ("training.learning_rate=1e-3", 1e-3),
        ("model.prior=conditional", "conditional"),
        ("data.resize=[64, 48]", [64, 48]),
        ("data.source=photos/of = mine", "photos/of = mine"),
        ('data.source="1"', "1"),
        ("training.steps=none", None),
        ("data.binarise=none", "none"),
        ("data.labels=", ""),
    ],
)
def test_set_reads_toml_and_else_plain_words(text, value):
    section, _, name = text.partition("=")[0].partition(".")
    assert parse_set([text]) == {section: {name: value}}


@pytest.mark.parametrize("text", ["seed=3", "training.seed", "", "=", ".=1", "training.=1"])
def test_set_wants_section_key_and_value(text):
    with pytest.raises(UsageError, match=r"--set wants section\.key=value"):
        parse_set([text])


def test_sizes():
    assert (size("--resize", "64"), size("--resize", "64x48"), size("--resize", None)) == (64, (64, 48), None)


def test_a_run_s_file_repeats_the_run(digits_run, tmp_path):
    path = digits_run / "config.toml"
    again = experiment.train(make_config((str(path), read_toml(path))), out=tmp_path / "again")
    one, other = Run(digits_run).load_checkpoint()[0], again.run.load_checkpoint()[0]
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert (again.run.folder / "config.toml").read_bytes() == path.read_bytes()
    assert again.run.record["result"] == Run(digits_run).record["result"]


def test_the_file_of_a_preset_is_a_configuration():
    for name in presets():
        limits = make_config((name, preset(name))).training
        assert limits.epochs or limits.steps or limits.seconds
