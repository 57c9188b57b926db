import numpy as np
import pytest

from zatlas.data import ArraySource, open_source
from zatlas.errors import UsageError, ZatlasError

ROWS = np.array([4, 0])


@pytest.fixture
def x(rng):
    return rng.integers(0, 256, (10, 6, 5), dtype=np.uint8)


@pytest.mark.parametrize("key", ["images", "imgs", "x", "X", "data", "arr_0", "anything"])
def test_images_are_found(tmp_path, x, key):
    np.savez(tmp_path / "a.npz", **{key: x})
    np.testing.assert_array_equal(open_source(str(tmp_path / "a.npz")).read(ROWS), x[ROWS][:, None])


def test_labels_and_factors(tmp_path, x):
    factors = np.arange(20).reshape(10, 2)
    np.savez_compressed(
        tmp_path / "a.npz",
        images=x,
        y=np.arange(10) % 3,
        hue=np.arange(10) % 2,
        factors=factors,
        factor_names=["a", "b"],
    )
    source = open_source(str(tmp_path / "a.npz"))
    assert source.spec.labels == ("0", "1", "2")
    assert source.factor_names == ("a", "b")
    np.testing.assert_array_equal(source.factors, factors)
    assert open_source(str(tmp_path / "a.npz"), labels="hue").spec.labels == ("0", "1")
    with pytest.raises(UsageError, match="did you mean hue"):
        open_source(str(tmp_path / "a.npz"), labels="huе")


def test_label_files(tmp_path, x):
    np.save(tmp_path / "a.npy", x)
    assert open_source(str(tmp_path / "a.npy")).spec.label_kind == "none"
    np.save(tmp_path / "a_labels.npy", np.arange(10) % 4)
    assert open_source(str(tmp_path / "a.npy")).spec.label_dim == 4
    (tmp_path / "words.txt").write_text("cat\ndog\n" * 5)
    assert open_source(str(tmp_path / "a.npy"), labels=str(tmp_path / "words.txt")).spec.labels == ("cat", "dog")
    with pytest.raises(UsageError, match=r"there is no file .*none\.txt"):
        open_source(str(tmp_path / "a.npy"), labels=str(tmp_path / "none.txt"))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["u1", ">f4", "<f8", "?"])
def test_npy_reads_as_the_array(tmp_path, x, order, dtype):
    given = np.asarray(x % 2 if dtype == "?" else x, dtype)
    np.save(tmp_path / "a.npy", np.asarray(given, order=order))
    source, same = open_source(str(tmp_path / "a.npy")), ArraySource("a", given)
    assert source.spec == same.spec
    for rows in (ROWS, np.arange(3), np.array([2, 2, 1]), np.arange(0)):
        np.testing.assert_array_equal(source.read(rows), same.read(rows))
    assert source.fingerprint() == same.fingerprint()


def test_pickles_are_never_read(tmp_path, x):
    bomb = np.array([{"a": 1}] * 10, dtype=object)
    np.savez(tmp_path / "a.npz", images=bomb)
    np.savez(tmp_path / "b.npz", images=x, labels=bomb)
    np.save(tmp_path / "a.npy", bomb)
    (tmp_path / "c.npz").write_bytes(b"\x80\x04\x95" + b"\0" * 30)
    for name in ("a.npz", "b.npz", "a.npy"):
        with pytest.raises(ZatlasError, match="Python objects"):
            open_source(str(tmp_path / name))
    with pytest.raises(ZatlasError, match="cannot be read"):
        open_source(str(tmp_path / "c.npz"))


@pytest.mark.parametrize("keep", [0, 3, 100, 0.5, 0.98])
@pytest.mark.parametrize("name", ["a.npz", "a.npy"])
def test_damage_is_named(tmp_path, x, name, keep):
    path = tmp_path / name
    np.savez(path, images=x) if name == "a.npz" else np.save(path, x)
    content = path.read_bytes()
    path.write_bytes(content[: keep if keep >= 1 else int(keep * len(content))])
    with pytest.raises(ZatlasError, match=name):
        open_source(str(path))


def test_a_flipped_byte_is_found(tmp_path, x):
    np.savez(tmp_path / "a.npz", images=x)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[250] ^= 0xFF
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ZatlasError, match="damaged"):
        open_source(str(tmp_path / "a.npz"))


def test_frey_faces(shared):
    source = open_source(str(shared / "freyfaces.npz"))
    assert (len(source), source.spec.shape, source.spec.values) == (1965, (1, 28, 20), "uint8")
    assert open_source(str(shared / "freyfaces.npz"), resize=(32, 32)).spec.shape == (1, 32, 32)


@pytest.mark.parametrize(
    ("images", "labels"),
    [("x_{}", "y_{}"), ("{}_images", "{}_labels"), ("images_{}", "labels_{}"), ("X_{}", "y_{}")],
)
def test_splits_that_have_arrays_of_their_own(tmp_path, x, images, labels):
    """As Keras writes them, and MedMNIST; also where those of training come last in the file."""
    rows = {"test": slice(0, 3), "val": slice(3, 5), "train": slice(5, 10)}
    y = np.arange(10)[:, None] % 4
    arrays = {images.format(split): x[part] for split, part in rows.items()}
    np.savez(tmp_path / "a.npz", **arrays, **{labels.format(split): y[part] for split, part in rows.items()})
    source = open_source(str(tmp_path / "a.npz"))
    order = np.r_[5:10, 3:5, 0:3]
    np.testing.assert_array_equal(source.read(np.arange(10))[:, 0], x[order])
    np.testing.assert_array_equal(source.read_labels(np.arange(10)), y[order, 0])
    assert (source.validation_rows.tolist(), source.test_rows.tolist()) == ([5, 6], [7, 8, 9])
    assert source.about["splits"] == "5 train, 2 validation, 3 test, by array"


def test_a_whole_array_is_that_of_training_where_another_is_for_tests(tmp_path, x):
    np.savez(tmp_path / "a.npz", x=x[:6], x_test=x[6:], x_mean=x.mean(0))
    source = open_source(str(tmp_path / "a.npz"))
    assert source.test_rows.tolist() == [6, 7, 8, 9]
    assert source.validation_rows is None
    former = open_source(str(tmp_path / "a.npz"), split_folders=False)
    assert (len(former), former.test_rows) == (6, None)


def test_one_split_alone_is_all_there_is(tmp_path, x):
    np.savez(tmp_path / "a.npz", x_train=x, y_train=np.arange(10) % 2)
    source = open_source(str(tmp_path / "a.npz"))
    assert (len(source), source.test_rows, source.spec.label_dim) == (10, None, 2)
    np.savez(tmp_path / "b.npz", x_test=x, y_test=np.arange(10) % 2)
    with pytest.raises(UsageError, match="or x_train and x_test"):
        open_source(str(tmp_path / "b.npz"))


def test_splits_that_do_not_go_together_are_refused(tmp_path, x):
    np.savez(tmp_path / "a.npz", x_train=x, x_test=x, y_train=np.arange(10))
    with pytest.raises(ZatlasError, match="has y_train, and none for x_test"):
        open_source(str(tmp_path / "a.npz"))
    np.savez(tmp_path / "b.npz", x_train=x, x_test=x[:, :4])
    with pytest.raises(ZatlasError, match=r"x_train is uint8 \[10, 6, 5\] and x_test uint8 \[10, 4, 5\]: save"):
        open_source(str(tmp_path / "b.npz"))
    np.savez(tmp_path / "c.npz", x_train=x, x_test=x / 255)
    with pytest.raises(ZatlasError, match="save the rows of all splits alike"):
        open_source(str(tmp_path / "c.npz"))


def test_labels_of_another_name_are_found_in_all_splits(tmp_path, x):
    hue = np.arange(10) % 3
    np.savez(tmp_path / "a.npz", x_train=x[:6], x_test=x[6:], hue_train=hue[:6], hue_test=hue[6:])
    source = open_source(str(tmp_path / "a.npz"), labels="hue")
    np.testing.assert_array_equal(source.read_labels(np.arange(10)), hue)
