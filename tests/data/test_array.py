import numpy as np
import pytest

from zatlas.data import ArraySource
from zatlas.errors import ZatlasError

ALL = np.arange(10)


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ((10, 6, 5), (1, 6, 5)),
        ((10, 6, 5, 1), (1, 6, 5)),
        ((10, 6, 5, 3), (3, 6, 5)),
        ((10, 1, 6, 5), (1, 6, 5)),
        ((10, 3, 6, 5), (3, 6, 5)),
        ((10, 7), (7,)),
    ],
)
def test_every_layout_is_read_channels_first(rng, given, shape):
    x = rng.integers(0, 256, given, dtype=np.uint8)
    source = ArraySource("x", x)
    assert source.spec.shape == shape
    read = source.read(ALL)
    assert read.shape == (10, *shape)
    last = (
        x
        if len(shape) == 1
        else x.reshape(10, 6, 5, -1)
        if x.ndim == 3 or given[-1] in (1, 3)
        else x.transpose(0, 2, 3, 1)
    )
    np.testing.assert_array_equal(read if len(shape) == 1 else read.transpose(0, 2, 3, 1), last)


@pytest.mark.parametrize(
    ("x", "values", "top"),
    [
        (np.random.default_rng(0).random((10, 4, 4)), "unit", 1),
        (np.random.default_rng(0).random((10, 4, 4)) * 2, "real", 2),
        (np.random.default_rng(0).random((10, 4)), "real", 1),
        (np.random.default_rng(0).integers(0, 200, (10, 4, 4)), "uint8", 199),
        (np.random.default_rng(0).integers(0, 2, (10, 4, 4), dtype=np.uint8), "uint8", 255),
        (np.random.default_rng(0).random((10, 4, 4)) > 0.5, "uint8", 255),
        (np.random.default_rng(0).integers(-5, 5, (10, 4, 4)), "real", 5),
    ],
)
def test_values(x, values, top):
    source = ArraySource("x", x)
    read = source.read(ALL)
    assert source.spec.values == values
    assert read.dtype == (np.uint8 if values == "uint8" else np.float32)
    assert read.max() <= top
    assert read.max() > top * 0.6


def test_labels_become_classes_in_order(rng):
    x = rng.random((10, 3))
    numbers = ArraySource("x", x, [10, 9, 10, 9, 2, 2, 2, 2, 2, 2])
    assert numbers.spec.labels == ("2", "9", "10")
    assert numbers.read_labels(ALL).tolist() == [2, 1, 2, 1, 0, 0, 0, 0, 0, 0]
    words = ArraySource("x", x, ["b", "a"] * 5)
    assert words.spec.labels == ("a", "b")
    assert ArraySource("x", x, [7] * 10).spec.labels == ("7",)


def test_real_labels(rng):
    x = rng.random((10, 3))
    one, two = ArraySource("x", x, rng.random(10)), ArraySource("x", x, rng.random((10, 2)))
    assert (one.spec.label_kind, one.spec.label_dim) == ("real", 1)
    assert two.read_labels(ALL[:4]).shape == (4, 2)


def test_a_mapped_file_is_the_same_as_the_array(tmp_path, rng):
    x = rng.integers(0, 256, (50, 6, 5), dtype=np.uint8)
    mapped = np.memmap(tmp_path / "x", np.uint8, "w+", shape=x.shape)
    mapped[:] = x
    rows = np.array([3, 1, 44])
    assert ArraySource("m", mapped).fingerprint() == ArraySource("a", x).fingerprint()
    np.testing.assert_array_equal(ArraySource("m", mapped).read(rows), x[rows][:, None])


def test_the_fingerprint_is_of_content(rng):
    x, y = rng.integers(0, 256, (10, 6, 5), dtype=np.uint8), np.arange(10) % 2
    one = ArraySource("one", x, y).fingerprint()
    assert one == ArraySource("two", x[..., None], y).fingerprint()
    x[9, 5, 4] ^= 1
    assert one != ArraySource("one", x, y).fingerprint()
    x[9, 5, 4] ^= 1
    assert one != ArraySource("one", x, 1 - y).fingerprint()


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((0, 4, 4), np.uint8), "no rows"),
        (np.zeros((5, 0)), "empty"),
        (np.zeros((5, 4, 4, 2), np.uint8), r"shape \[5, 4, 4, 2\]"),
        (np.zeros(5), r"shape \[5\]"),
        (np.array([[None, 1]] * 5), "object"),
        (np.array([["a", "b"]] * 5), "<U1"),
        (np.ones((5, 4, 4), np.uint8), "all 5 examples are the same"),
        (np.ones((5, 4)), "all 5 examples are the same"),
    ],
)
def test_refused(x, words):
    with pytest.raises(ZatlasError, match=words):
        ArraySource("x", x)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_the_first_number_that_is_not_finite_is_named(rng, bad):
    x = rng.random((3000, 20, 20))
    x[2345, 6, 7] = bad
    x[2999, 0, 0] = bad
    with pytest.raises(ZatlasError, match=r"row 2345 .* at \[6, 7\]"):
        ArraySource("x", x)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros(9), "do not go with 10"),
        (np.zeros((10, 2, 2)), "do not go with 10"),
        (np.array([0.0] * 4 + [np.nan] * 6), "row 4"),
        (np.array([None] * 10), "object"),
    ],
)
def test_refused_labels(rng, labels, words):
    with pytest.raises(ZatlasError, match=words):
        ArraySource("x", rng.random((10, 3)), labels)
