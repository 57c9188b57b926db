"""sample, reconstruct, encode, decode, codes: Python is given what the commands write."""

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from zatlas import walks
from zatlas.cli.app import app
from zatlas.errors import UsageError, ZatlasError


def command(run, *words):
    """What a command on the run writes: its JSON."""
    result = CliRunner().invoke(app, [words[0], str(run.folder.path), *map(str, words[1:]), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def same(view, files):
    """The view's arrays are those of the .npz, bit for bit, and there is a picture where it has a figure."""
    with np.load(next(file for file in files if file.endswith(".npz"))) as archive:
        assert set(archive) == set(view.arrays)
        for name, value in view.arrays.items():
            np.testing.assert_array_equal(archive[name], value, err_msg=name)
    assert any(file.endswith(".png") for file in files) == (view.figure is not None)


CASES = [
    ("sample", {"n": 7, "seed": 3}, ["-n", 7, "--seed", 3]),
    ("sample", {"n": 5, "draws": True, "label": "4"}, ["-n", 5, "--draws", "--label", 4]),
    ("reconstruct", {"n": 6, "split": "train"}, ["-n", 6, "--split", "train"]),
    ("encode", {"split": "test"}, ["--split", "test"]),
]


@pytest.mark.parametrize(("name", "words", "options"), CASES)
def test_python_and_the_command_line_give_the_same_arrays(run, tmp_path, name, words, options):
    opened = run("cvae")
    view = getattr(walks, name)(opened, **words)
    same(view, command(opened, name, *options, "--out", tmp_path / "here")["files"])


def test_given_codes_are_decoded_alike(run, tmp_path):
    opened = run("cvae")
    z = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    y = np.eye(10, dtype=np.float32)[[3, 1, 4, 1]]
    np.savez(tmp_path / "codes.npz", z=z, y=y)
    given = walks.decode(opened, z, y)
    same(given, command(opened, "decode", tmp_path / "codes.npz", "--out", tmp_path / "a")["files"])
    same(
        walks.decode(opened, z, y, label="7"),
        command(opened, "decode", tmp_path / "codes.npz", "--label", 7, "--out", tmp_path / "b")["files"],
    )
    assert not np.array_equal(walks.decode(opened, z)["mean"], given["mean"])  # every class in turn


@pytest.mark.parametrize("kind", ["vae", "ae", "ladder"])
def test_the_table_of_codes_is_the_written_one(run, tmp_path, kind):
    opened = run(kind)
    view = walks.codes(opened, split="test")
    command(opened, "encode", "--split", "test", "--out", tmp_path / "codes.csv")
    with (tmp_path / "codes.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == list(view.arrays)
    for name, column in view.arrays.items():
        written = np.array([line[name] for line in table])
        np.testing.assert_array_equal(written.astype(column.dtype), column, err_msg=name)


def test_the_columns_of_the_table(run):
    opened = run("vae")
    view = walks.codes(opened, split="test")
    rows = opened.rows("test")
    elbo = opened.elbo(rows)
    assert list(view.arrays) == ["row", "class", "z1", "z2", "z3", "bound", "distortion", "rate"]
    np.testing.assert_array_equal(view["row"], rows)
    np.testing.assert_array_equal(view["class"].astype(int), opened.source.read_labels(rows))
    np.testing.assert_array_equal(view["z2"], opened.encode(rows).mean[:, 1])
    np.testing.assert_allclose(view["bound"], -(elbo.distortion + elbo.rate).numpy(), rtol=1e-6)
    assert "bound" not in walks.codes(run("ae"), split="test").arrays  # a point has no rate


def test_every_example_is_counted_twice(run):
    told = []

    class Counting:
        def __init__(self, what, total):
            self.of = (what, total, [])
            told.append(self.of)

        def __enter__(self):
            return self.of[2].append

        def __exit__(self, *error):
            return None

    count = len(walks.codes(run("vae"), split="test", counting=Counting)["row"])
    assert [(what, total, sum(done)) for what, total, done in told] == [
        ("encoding", count, count),
        ("measuring", count, count),
    ]


def test_what_cannot_be(run):
    z = np.zeros((3, 3), np.float32)
    for wrong in (z[:, :2], z[0], z[:0]):
        with pytest.raises(UsageError, match="this model wants"):
            walks.decode(run("vae"), wrong)
    with pytest.raises(ZatlasError, match=r"y holds labels of shape \[3, 4\], and these codes want \[3, 10\]"):
        walks.decode(run("cvae"), z, np.zeros((3, 4), np.float32))
    with pytest.raises(UsageError, match="takes no label"):
        walks.sample(run("vae"), label="3")
    for ask in (walks.encode, walks.codes, walks.reconstruct):
        with pytest.raises(UsageError, match="Choose a model with an encoder"):
            ask(run("gan"))
