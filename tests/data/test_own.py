"""Data that a person has in Python are sources like any other."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from zatlas.data import ArraySource
from zatlas.data.own import own_source
from zatlas.errors import UsageError, ZatlasError

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (12, 6, 5), dtype=np.uint8)
Y = np.arange(12) % 3


class Pairs(Dataset):
    """Items (x, y) of tensors, as torchvision's are after a transform."""

    classes = ("a", "b", "c")

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        return torch.tensor(X[i])[None], int(Y[i])


class Mappings(Pairs):
    def __getitem__(self, i):
        return {"image": X[i], "label": Y[i], "id": i}


class Images(Pairs):
    def __getitem__(self, i):
        from PIL import Image

        return Image.fromarray(X[i]), int(Y[i])


class Stream(IterableDataset):
    def __iter__(self):
        yield from X


@pytest.mark.parametrize(
    "data",
    [
        X,
        torch.tensor(X),
        (X, Y),
        (torch.tensor(X)[:, None], torch.tensor(Y)),
        Pairs(),
        Mappings(),
        Images(),
        Stream(),
        DataLoader(Pairs(), batch_size=4, shuffle=True),
        TensorDataset(torch.tensor(X), torch.tensor(Y)),
        ArraySource("mine", X, Y),
    ],
    ids=lambda data: type(data).__name__,
)
def test_every_form_gives_the_same_examples(data):
    source = own_source(data)
    np.testing.assert_array_equal(source.read(np.arange(12)), X[:, None])
    labels = source.read_labels(np.arange(12))
    assert labels is None or labels.tolist() == Y.tolist()


def test_the_classes_of_a_dataset_are_its_names():
    assert own_source(Pairs()).spec.labels == ("a", "b", "c")


def test_a_data_set_of_the_hub():
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c"])})
    from PIL import Image

    rows = {"image": [Image.fromarray(x) for x in X], "label": Y.tolist()}
    source = own_source(datasets.Dataset.from_dict(rows, features=features))
    np.testing.assert_array_equal(source.read(np.arange(12)), X[:, None])
    assert source.spec.labels == ("a", "b", "c")
    columns = datasets.Dataset.from_dict({"u": RNG.normal(size=8), "v": RNG.normal(size=8), "label": [0, 1] * 4})
    table = own_source(columns)
    assert table.spec.shape == (2,)
    assert table.read_labels(np.arange(8)).tolist() == [0, 1] * 4


class Ragged(Pairs):
    def __getitem__(self, i):
        return X[i][: 6 - i % 2]


class Empty(Pairs):
    def __len__(self):
        return 0


class HalfLabelled(Pairs):
    def __getitem__(self, i):
        return (X[i], Y[i]) if i % 2 else X[i]


class Nameless(Pairs):
    def __getitem__(self, i):
        return {"picture_of_mine": X[i]}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (Ragged(), r"item 1 is of shape \[5, 5\] and item 0 of shape \[6, 5\]: give items of one shape"),
        (Empty(), "holds no items"),
        (HalfLabelled(), "item 0 has no label and others have one"),
        (Nameless(), "has the keys .'picture_of_mine'., and none of image"),
        (3, "data cannot be int: give a name or a path"),
        (np.array(["a", "b"]), "cannot be used"),
        ([np.zeros(3), np.zeros(4)], "holds neither images"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(data, says):
    with pytest.raises((UsageError, ZatlasError), match=says):
        own_source(data)
