"""similar and outliers: rows, names, files, and what each refuses."""

import json

import numpy as np
import pytest
from PIL import Image

from zatlas import walks
from zatlas.config import make_config
from zatlas.errors import UsageError
from zatlas.evaluation.outliers import SCORES
from zatlas.runs.opened import Run
from zatlas.runs.training import train


@pytest.fixture(scope="session")
def photo_run(tmp_path_factory):
    """A small run on 90 colour JPEGs in train and test folders of two classes; bright ones and dark ones."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(90):
        path = root / f"data/{'test' if i % 3 == 0 else 'train'}/{'dark' if i % 2 else 'light'}/{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 90, (8, 8, 3)) + (0 if i % 2 else 160)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    values = {
        "data": {"source": str(root / "data")},
        "model": {"kind": "vae", "latent_dim": 3},
        "network": {"kind": "mlp", "size": "xs"},
        "training": {"steps": 60, "precision": "fp32", "threads": 1},
    }
    return train(make_config(("test", values)), out=root / "run")


def test_the_nearest_are_those_of_a_plain_search(photo_run):
    view = walks.similar(photo_run, row=4, n=7)
    codes = photo_run.encode(photo_run.rows("all")).mean.astype(float)
    distance = np.linalg.norm(codes - codes[4], axis=1)
    expected = [row for row in np.argsort(distance, kind="stable") if row != 4][:7]
    assert view["rows"].tolist() == expected
    np.testing.assert_allclose(view["distance"], distance[expected], rtol=1e-5, atol=1e-6)
    assert view["names"].tolist() == [photo_run.source.names[row] for row in expected]
    assert view.facts["query"]["name"] == photo_run.source.names[4]


def test_an_image_file_is_its_own_nearest(photo_run):
    name = photo_run.source.names[10]
    path = f"{photo_run.config.data.source}/{name}"
    view = walks.similar(photo_run, image=path, n=3)
    assert (view["rows"][0], view["names"][0]) == (10, name)
    assert view["distance"][0] < 1e-5


def test_an_image_of_another_size_is_fitted(photo_run, tmp_path):
    Image.new("L", (40, 25), 200).save(tmp_path / "new.jpg")
    other = photo_run.beside(str(tmp_path / "new.jpg"))
    assert other.source.spec.shape == (3, 8, 8)
    assert (other.source.read(np.array([0])) > 195).all()
    assert len(photo_run.source) == 90  # the run itself has kept its own
    assert walks.similar(photo_run, image=str(tmp_path / "new.jpg"), n=1)["rows"].shape == (1,)


def test_what_similar_refuses(photo_run, tmp_path):
    for words in ({}, {"row": 1, "image": "x.png"}, {"row": 90}, {"image": str(tmp_path / "none.png")}):
        with pytest.raises(UsageError):
            walks.similar(photo_run, **words)


def test_a_planted_image_is_the_worst(photo_run):
    import copy

    other = copy.copy(photo_run.source)
    x = photo_run.source.read(np.arange(90))
    x[33] = np.random.default_rng(5).integers(0, 256, x[33].shape)
    other.read = lambda rows: x[rows]
    run = Run(photo_run.folder, source=other, splits=photo_run.splits)
    for score in ("bound", "states", "background"):
        view = walks.outliers(run, n=5, score=score)
        assert 33 in view["worst"][:2], score
    assert set(SCORES) <= set(view.arrays)
    assert view.facts["outliers"][0]["name"] == other.names[view["worst"][0]]
    assert view.figure is not None
    assert len(walks.outliers(run, split="test")["rows"]) == 30


def test_there_is_no_other_score(photo_run):
    with pytest.raises(UsageError, match="no score 'bond'; did you mean bound"):
        walks.outliers(photo_run, score="bond")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_codes_as_a_table(photo_run, tmp_path, suffix, monkeypatch):
    import csv

    from zatlas.cli.picture import encode

    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"codes{suffix}"
    encode(photo_run.folder.path, split="test", out=path)
    if suffix == ".csv":
        with path.open(newline="") as file:
            records = list(csv.DictReader(file))
    else:
        import pyarrow.parquet

        records = pyarrow.parquet.read_table(path).to_pylist()
    rows = photo_run.rows("test")
    assert list(records[0]) == ["row", "name", "class", "z1", "z2", "z3", "bound", "distortion", "rate"]
    assert [int(r["row"]) for r in records] == rows.tolist()
    assert [r["name"] for r in records] == [photo_run.source.names[row] for row in rows]
    assert [r["class"] for r in records] == [r["name"].split("/")[-2] for r in records]
    mean = photo_run.encode(rows).mean
    np.testing.assert_allclose([[float(r[f"z{i}"]) for i in (1, 2, 3)] for r in records], mean, rtol=1e-6)
    found = photo_run.elbo(rows)
    np.testing.assert_allclose([float(r["bound"]) for r in records], -(found.distortion + found.rate), rtol=1e-5)


@pytest.mark.slow
def test_commands_on_an_image_file(photo_run, tmp_path, capsys):
    from zatlas.cli.find import similar
    from zatlas.cli.picture import encode, reconstruct

    Image.new("RGB", (9, 30), "teal").save(tmp_path / "new.png")
    folder, new = photo_run.folder.path, str(tmp_path / "new.png")
    reconstruct(folder, new, out=tmp_path / "r.png", json=True)
    assert np.load(tmp_path / "r.npz")["x"].shape == (1, 3, 8, 8)
    encode(folder, new, out=tmp_path / "e.npz", json=True, split="all")
    with np.load(tmp_path / "e.npz") as found:
        assert found["mean"].shape == (1, 3)
        assert found["names"].tolist() == ["new.png"]
    capsys.readouterr()
    similar(folder, image=new, n=2, out=tmp_path / "s.png", split="all", json=True)
    assert len(json.loads(capsys.readouterr().out)["nearest"]) == 2
