import numpy as np
import pytest

from zatlas.data import describe, located, open_source, split
from zatlas.errors import UsageError


def test_digits():
    source = open_source("digits")
    facts = describe(source)
    assert (facts["rows"], facts["shape"], facts["min"], facts["max"]) == (1797, [1, 8, 8], 0, 255)
    assert sum(facts["labels"].values()) == 1797
    assert facts["mean"] == pytest.approx(source.read(np.arange(1797)).mean())
    assert set(np.unique(source.read(np.arange(1797)))) == {round(v * 255 / 16) for v in range(17)}


def test_facts_of_factors():
    facts = describe(open_source("sprites:300"))
    assert facts["factors"]["shape"] == 3
    assert facts["measured_rows"] == 300


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("digts", "did you mean digits"),
        ("mnsit", "did you mean mnist"),
        ("sprite:30", "did you mean sprites"),
        ("nowhere/at/all", "no file or folder nowhere/at/all"),
        ("gone.npz", "no file or folder gone.npz"),
        ("", "no data was named; known are digits"),
    ],
)
def test_unknown_words(tmp_path, monkeypatch, text, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=words):
        open_source(text)


def test_a_path_wins_over_a_name_where_it_shows(tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    np.save(tmp_path / "digits/digits.npy", rng.integers(0, 256, (10, 6, 5), dtype=np.uint8))
    assert len(open_source("digits")) == 1797
    assert len(open_source("digits/digits.npy")) == 10
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UsageError, match="no known kind"):
        open_source("notes.txt")


def test_names_in_the_data_folder(data_folder, rng):
    data_folder.mkdir()
    np.savez(data_folder / "mine.npz", x=rng.integers(0, 256, (10, 6, 5), dtype=np.uint8))
    assert (open_source("mine").name, len(open_source("mine"))) == ("mine", 10)
    with pytest.raises(UsageError, match="did you mean mine"):
        open_source("mime")


@pytest.mark.slow
def test_any_image_can_be_resized_cropped_and_recoloured(tmp_path, rng):
    source = open_source("digits", resize=32, crop=28, channels=3)
    x = source.read(np.array([0, 5]))
    assert (source.spec.shape, x.shape, x.dtype) == ((3, 28, 28), (2, 3, 28, 28), np.uint8)
    np.testing.assert_array_equal(x[:, 0], x[:, 2])
    assert source.fingerprint() != open_source("digits").fingerprint()
    assert len(split(source, validation=0.1, test=0.1, seed=0).train) == 1455
    unit = rng.random((10, 3, 8, 8))
    np.save(tmp_path / "unit.npy", unit)
    grey = open_source(str(tmp_path / "unit.npy"), resize=4, channels=1)
    read = grey.read(np.arange(10))
    assert (grey.spec.values, read.dtype, read.shape) == ("unit", np.float32, (10, 1, 4, 4))
    np.testing.assert_allclose(
        read.mean(), (unit * np.array([0.299, 0.587, 0.114])[:, None, None]).sum(1).mean(), atol=0.02
    )
    assert 0 <= read.min() < read.max() <= 1
    with pytest.raises(UsageError, match="channels 2"):
        open_source("digits", channels=2)
    np.save(tmp_path / "vectors.npy", rng.random((10, 7)))
    with pytest.raises(UsageError, match="vectors"):
        open_source(str(tmp_path / "vectors.npy"), resize=4)


def test_a_path_is_kept_absolute_and_a_name_as_it_is(tmp_path, monkeypatch):
    """A run finds its data again from any folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    np.save(tmp_path / "x.npy", np.zeros(3))
    assert located("photos") == str(tmp_path / "photos")
    assert located("./x.npy") == str(tmp_path / "x.npy")
    assert located("x.npy") == str(tmp_path / "x.npy")
    (tmp_path / "digits").mkdir()
    for word in ("digits", "sprites:50", "hf:owner/name", "missing.npz"):
        assert located(word) == word
