import numpy as np
import pytest

from zatlas.data import ArraySource, split
from zatlas.errors import UsageError, ZatlasError


@pytest.mark.parametrize(
    ("validation", "test", "sizes"),
    [(0.1, 0.2, (74, 8, 21)), (5, 10, (88, 5, 10)), (0, 0, (103, 0, 0)), (1, 0.001, (101, 1, 1))],
)
def test_splits_are_sorted_disjoint_and_whole(grey, validation, test, sizes):
    parts = split(grey, validation=validation, test=test, seed=0)
    assert tuple(len(part) for part in parts) == sizes
    assert all((np.diff(part) > 0).all() for part in parts)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(103))


def test_the_same_seed_and_content_split_alike(grey):
    copy = ArraySource("other name", grey.read(np.arange(103)), grey.read_labels(np.arange(103)))
    one, two = (split(s, validation=0.1, test=0.2, seed=3) for s in (grey, copy))
    other = split(grey, validation=0.1, test=0.2, seed=4)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.test.tolist() != other.test.tolist()


def test_the_authors_test_rows_are_kept(grey):
    grey.test_rows = np.arange(90, 103)
    parts = split(grey, validation=0.1, test=0.5, seed=0)
    np.testing.assert_array_equal(parts.test, np.arange(90, 103))
    assert len(parts.validation) == 9
    assert parts.validation.max() < 90


@pytest.mark.parametrize(("validation", "test"), [(103, 0), (50, 53), (0, 200), (0.5, 102)])
def test_nothing_left_to_train_on(grey, validation, test):
    with pytest.raises(ZatlasError, match="none to train on"):
        split(grey, validation=validation, test=test, seed=0)


@pytest.mark.parametrize("value", [-1, 2.5, float("nan")])
def test_counts_that_cannot_be(grey, value):
    with pytest.raises(UsageError, match="validation"):
        split(grey, validation=value, test=0, seed=0)
