"""The configuration: one file repeats it, later layers win, and what cannot be is refused by name."""

import tomllib

import pytest
import torch

from zatlas.cli.train import level, size, sizes
from zatlas.config import make_config, parse_set, preset, presets, read_toml
from zatlas.errors import UsageError, ZatlasError
from zatlas.runs import training
from zatlas.runs.folder import RunFolder


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
    config = make_config(("test", {}))
    written, values = tomllib.loads(config.to_toml()), config.model_dump()
    assert written.pop("schema") == 2
    assert written == {
        section: {key: value for key, value in keys.items() if value is not None} for section, keys in values.items()
    }


def test_later_layers_win():
    config = make_config(
        ("preset", preset("course-vae")),
        ("file", {"model": {"latent_dim": 3, "network": "mlp"}}),
        ("the options", {"model": {"latent_dim": 4}}),
        ("--set", parse_set(["training.batch_size=64"])),
    )
    assert (config.model.latent_dim, config.network.kind, config.training.batch_size) == (4, "mlp", 64)
    assert config.training.epochs == 10


def test_layers_are_not_changed_by_merging():
    first = {"model": {"latent_dim": 3}}
    make_config(("one", first), ("two", {"model": {"latent_dim": 4}}))
    assert first == {"model": {"latent_dim": 3}}
    assert make_config() == make_config(("nothing", {}))


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
        ({"model": {"prior": "conditional"}}, "prior.kind = 'conditional' goes with"),
        ({"training": {"learning_rate": float("inf")}}, "training.learning_rate"),
        ({"data": {"resize": (1, 2, 3)}}, "data.resize"),
        ({"training": 3}, "training"),
        ({"trainning": {"epochs": 3}}, "there is no trainning; did you mean training?"),
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


@pytest.mark.slow
def test_a_run_s_file_repeats_the_run(digits_run, tmp_path):
    path = digits_run / "config.toml"
    again = training.train(make_config((str(path), read_toml(path))), out=tmp_path / "again")
    one, other = RunFolder(digits_run).load_checkpoint()[0], again.folder.load_checkpoint()[0]
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert (again.folder.path / "config.toml").read_bytes() == path.read_bytes()
    assert again.folder.record["result"] == RunFolder(digits_run).record["result"]


def test_the_file_of_a_preset_is_a_configuration():
    for name in presets():
        limits = make_config((name, preset(name))).training
        assert limits.epochs or limits.steps or limits.seconds


SAVED_BY_0_1 = """[data]
source = "photos"
binarise = "none"
validation = 0.05
test = 0.1
split_seed = 0
"""


def test_a_configuration_that_0_1_saved_keeps_its_labels(tmp_path):
    """0.1 took the whole path of an image as its class, and had no key to say so."""
    (tmp_path / "config.toml").write_text(SAVED_BY_0_1)
    assert make_config(("a run of 0.1", read_toml(tmp_path / "config.toml"))).data.label_level == "path"
    (tmp_path / "config.toml").write_text(make_config().to_toml())
    assert make_config(("a run", read_toml(tmp_path / "config.toml"))).data.label_level == 1
    (tmp_path / "config.toml").write_text('[data]\nsource = "photos/"\n')
    assert make_config(("a person", read_toml(tmp_path / "config.toml"))).data.label_level == 1


def test_a_run_from_before_split_folders_keeps_its_labels_and_splits(tmp_path):
    """train/ and test/ were classes then, or folders above them; the run says so by not having the key."""
    import hashlib

    from PIL import Image

    from zatlas.files import write_json
    from zatlas.runs.opened import Run
    from zatlas.runs.training import train

    for i in range(24):
        path = tmp_path / f"photos/{'test' if i % 3 == 0 else 'train'}/{'cat' if i % 2 else 'dog'}/{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), 10 * i).save(path)
    values = {
        "data": {"source": str(tmp_path / "photos"), "split_folders": False},
        "model": {"size": "xs"},
        "training": {"steps": 1, "precision": "fp32", "threads": 1},
    }
    run = train(make_config(("test", values)), out=tmp_path / "run").run
    splits = Run(tmp_path / "run").splits
    text = (tmp_path / "run/config.toml").read_text()
    old = text.replace("split_folders = false\n", "")
    assert old != text
    (tmp_path / "run/config.toml").write_text(old)
    write_json(tmp_path / "run/run.json", run.record | {"config_sha256": hashlib.sha256(old.encode()).hexdigest()})
    again = Run(tmp_path / "run")
    assert again.source.spec.labels == ("test", "train")
    assert all((one == other).all() for one, other in zip(splits, again.splits, strict=True))
    assert make_config(("a person", {"data": {"source": "photos/"}})).data.split_folders


def test_a_run_of_0_1_on_nested_folders_opens_with_its_labels(tmp_path):
    import hashlib

    from PIL import Image

    from zatlas.files import write_json
    from zatlas.runs.opened import Run
    from zatlas.runs.training import train

    for i in range(12):
        path = tmp_path / f"photos/{'cat' if i % 2 else 'dog'}/day{i % 3}/{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), 20 * i).save(path)
    values = {
        "data": {"source": str(tmp_path / "photos"), "label_level": "path"},
        "model": {"size": "xs"},
        "training": {"steps": 1, "precision": "fp32", "threads": 1},
    }
    run = train(make_config(("test", values)), out=tmp_path / "run").run
    text = (tmp_path / "run/config.toml").read_text()  # as 0.1 wrote it
    old = text.replace('label_level = "path"\n', "").replace("skip_damaged = false\n", "")
    old = old.replace("schema = 2\n", "")
    assert old != text
    (tmp_path / "run/config.toml").write_text(old)
    write_json(tmp_path / "run/run.json", run.record | {"config_sha256": hashlib.sha256(old.encode()).hexdigest()})
    assert Run(tmp_path / "run").source.spec.label_dim == 6


def test_one_number_makes_squares_on_the_command_line():
    assert sizes("64", None) == {"resize": 64, "crop": 64}
    assert sizes("64x48", None) == {"resize": (64, 48), "crop": None}
    assert sizes("64", "48") == {"resize": 64, "crop": 48}
    assert (level("2"), level("path"), level(None)) == (2, "path", None)
    with pytest.raises(UsageError, match="--label-level wants 1"):
        level("0")


def test_a_batch_larger_than_the_machine_is_refused_before_it_is_read(tmp_path, monkeypatch):
    from zatlas.runs import data as run_data

    monkeypatch.setattr(run_data.os, "sysconf", lambda name: 4)
    with pytest.raises(ZatlasError, match=r"a batch of 16 examples of 1x8x8 would take .*--resize.*--batch-size"):
        run_data.open_data(make_config(("test", {"data": {"source": "digits"}})))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("training", name) for name in ("seed", "threads", "batch_size", "steps")),
        *(("objective", name) for name in ("beta_warmup_steps", "capacity_steps")),
        ("model", "latent_dim"),
        *(("data", name) for name in ("resize", "crop", "split_seed")),
    ],
)
def test_ten_to_the_26_is_refused_by_name(key, value):
    with pytest.raises(UsageError, match=rf"{key}\.{value}: Input should be (less than|a valid)"):
        make_config(("here", {key: {value: 10**26}}))


@pytest.mark.parametrize("value", ["[" * 10**5, "9" * 5000, "0x" + "f" * 9000])
def test_a_value_without_end_is_refused_in_one_short_sentence(value, tmp_path):
    (tmp_path / "c.toml").write_text(f"[training]\nseed = {value}")
    for read in (lambda: parse_set([f"training.seed={value}"]), lambda: read_toml(tmp_path / "c.toml")):
        with pytest.raises(UsageError) as refused:
            make_config(("here", read()))
        assert len(str(refused.value)) < 400
