"""The command line, zatlas.train and the estimators make the same configuration of the same words."""

from typing import Literal, get_args, get_origin

import pytest

import zatlas
from zatlas.cli.train import _limits
from zatlas.cli.train import train as train_command
from zatlas.config import Config, known_keys, preset, presets
from zatlas.config.words import configuration, in_sections, places
from zatlas.errors import UsageError
from zatlas.estimators.settings import configure
from zatlas.runs import start, training


class Made(Exception):
    """Carries the configuration that would be trained."""


@pytest.fixture
def faces(monkeypatch):
    """Words to the configuration that each face makes of them, or the word "refused"."""

    def stop(config, **_):
        raise Made(config)

    monkeypatch.setattr(training, "train", stop)
    monkeypatch.setattr(start, "train_config", stop)

    def of(call, *arguments, **words):
        try:
            call(*arguments, **words)
        except Made as made:
            return made.args[0]
        except UsageError:
            return "refused"
        raise AssertionError("nothing was made")

    return of


def another(key):
    """A value of a key that is not its default, as plain data."""
    section, _, name = key.partition(".")
    field = Config.model_fields[section].annotation.model_fields[name]
    options = [field.annotation, *get_args(field.annotation)]
    for option in options:
        if get_origin(option) is Literal:
            return next(value for value in get_args(option) if value != field.default)
    if bool in options:
        return not field.default
    if int in options:
        return (field.default or 0) + 1
    if float in options:
        return (field.default or 0.0) / 2 + 0.25
    if str in options:
        return "cpu" if name == "device" else "a word"
    return ("x = relu(y)",)  # of an exported network


def toml(value):
    if isinstance(value, tuple):
        return list(value)
    return str(value).lower() if isinstance(value, bool) else value


@pytest.mark.parametrize("name", [None, *presets()])
def test_every_key_over_every_preset_is_the_same_from_the_shell_and_from_python(faces, name):
    made = 0
    for word, (section, key) in places().items():
        if word == "resize":
            continue  # a bare number is a square as an option and as a word, and the shorter side in a file
        value = another(f"{section}.{key}")
        said = {"data": "digits", "preset": name, "verbose": False, "data" if word == "source" else word: value}
        source = value if word == "source" else "digits"
        set_ = [f"{section}.{key}={toml(value)}"]
        shell = faces(train_command, source=source, preset=name, set_=set_, quiet=True, json=False)
        assert faces(zatlas.train, **said) == shell, word
        made += shell != "refused"
    assert made > 20


@pytest.mark.parametrize("name", [None, *presets()])
@pytest.mark.parametrize(
    "words", [{"epochs": 400}, {"seconds": 5.0}, {"steps": 7}, {"model": "cvae"}, {"latent_dim": 3, "beta": 2.0}]
)
def test_an_option_is_the_word_of_python(faces, name, words):
    python = faces(zatlas.train, "digits", preset=name, verbose=False, **words)
    assert python == faces(train_command, source="digits", preset=name, quiet=True, json=False, **words)


@pytest.mark.parametrize("word", sorted(set(places()) & set(zatlas.VAE().get_params())))
def test_a_parameter_of_an_estimator_is_the_word_of_python(faces, word):
    value = another(".".join(places()[word]))
    params = zatlas.VAE(**{word: value}).get_params()
    own = {name: held for name, held in params.items() if name in places() and held is not None}
    try:
        found = configure("VAE", "vae", params)
    except UsageError:
        found = "refused"
    words = {"test": 0, "validation": 0.1 if word == "patience" else 0} | own
    assert found == faces(zatlas.train, "", model="vae", seed=0, verbose=False, **words)


def test_limits_from_python_replace_those_of_a_preset():
    """A preset of 580 seconds, asked for 400 epochs, stopped after the seconds from Python, and not from the shell."""
    assert "seconds" in preset("mnist-likelihood")["training"]
    training = configuration({"epochs": 400}, preset_name="mnist-likelihood").training
    assert (training.epochs, training.steps, training.seconds) == (400, None, None)


def test_a_limit_said_later_replaces_those_of_preset_and_file(tmp_path):
    def limits(**words):
        training = configuration(words.pop("words", {}), preset_name="course-vae", **words).training
        return training.epochs, training.steps, training.seconds

    file = tmp_path / "c.toml"
    file.write_text("[training]\nsteps = 7\n")
    assert limits() == (10, None, None)
    assert limits(words={"epochs": 1}) == (1, None, None)
    assert limits(words={"seconds": 5.0}) == (None, None, 5.0)
    assert limits(file=file) == (None, 7, None)
    assert limits(assignments=["training.steps=9"]) == (None, 9, None)
    assert limits(words={"epochs": 2}, assignments=["training.seconds=5"]) == (2, None, 5.0)  # the first that is met
    assert preset("course-vae")["training"]["epochs"] == 10


def test_a_limit_given_with_resume_replaces_the_run_s():
    assert _limits({"steps": 5}, None, None, None, None) == {"epochs": None, "steps": 5, "seconds": None}
    assert _limits({"patience": 5}, None, None, None, None) == {"patience": 5}
    assert _limits({"source": "moved"}, None, None, None, None) == {}


def test_an_unknown_word_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean latent_dim"):
        in_sections({"latent_dims": 2})


def test_words_are_unambiguous():
    assert sorted(".".join(place) for place in places().values()) == sorted(known_keys())
