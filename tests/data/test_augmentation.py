"""Laws of augmentation: what is drawn belongs to seed, epoch and row; nothing but its named change happens."""

from typing import get_args

import numpy as np
import pytest
import torch

from zatlas.config.sections import DataConfig
from zatlas.data import ArraySource, Batches
from zatlas.data.augmentation import AUGMENTATIONS, SHIFT, SMALLEST, Augmentation
from zatlas.errors import UsageError
from zatlas.types import DataSpec

ROWS = np.arange(64)


@pytest.fixture
def photos(rng):
    return ArraySource("photos", rng.integers(0, 256, (64, 3, 16, 24), dtype=np.uint8), rng.integers(0, 3, 64))


def augmented(x, *names, key=5, rows=None):
    spec = DataSpec(tuple(x.shape[1:]), "uint8" if x.dtype == torch.uint8 else "unit", "none", ())
    return Augmentation(names, spec)(x, np.arange(len(x)) if rows is None else rows, key)


def image(n=400, height=16, width=24):
    """Every pixel holds where it is: 24 of its row, and its column."""
    x = (torch.arange(height)[:, None] * 5 + torch.arange(width)).float()
    return x.expand(n, 1, height, width)


def test_flip_mirrors_half_of_the_images():
    x = image()
    y = augmented(x, "flip")
    flipped = (y == x.flip(-1)).all((1, 2, 3))
    assert ((y == x).all((1, 2, 3)) ^ flipped).all()
    assert abs(flipped.float().mean() - 0.5) < 4 * 0.5 / 20


def test_shift_moves_by_whole_pixels_and_repeats_the_edge():
    x = image(2000)
    down, right = 16 // SHIFT, 24 // SHIFT
    shifted = torch.stack(
        [
            x[0, 0][(torch.arange(16) + i).clamp(0, 15)][:, (torch.arange(24) + j).clamp(0, 23)]
            for i in range(-down, down + 1)
            for j in range(-right, right + 1)
        ]
    )
    found = (augmented(x, "shift") == shifted).all((2, 3))  # [image, shift]
    assert (found.sum(1) == 1).all()
    assert found.any(0).all()


def test_crop_is_a_linear_map_of_the_plane():
    """Of a plane, bilinear interpolation is exact: its slope tells the size of the window, its corner the place."""
    x = image(500)
    y = augmented(x, "crop")[:, 0, 1:-1, 1:-1]  # at the edge a pixel is repeated
    down, right = (y[:, 1:] - y[:, :-1]) / 5, y[:, :, 1:] - y[:, :, :-1]
    for slope in (down, right):
        torch.testing.assert_close(slope, slope[:, :1, :1].expand(slope.shape), atol=1e-4, rtol=0)
        assert SMALLEST - 1e-4 <= slope.min() < SMALLEST + 0.01
        assert 1 - 0.01 < slope.max() <= 1 + 1e-4
    torch.testing.assert_close(down[:, 0, 0], right[:, 0, 0], atol=1e-4, rtol=0)
    assert y.min() >= 0
    assert y.max() <= x.max()


@pytest.mark.parametrize("names", [["flip"], ["shift"], ["crop"], ["flip", "shift", "crop"]], ids=str)
def test_bytes_stay_bytes_and_bits_bits(rng, names):
    x = torch.from_numpy(rng.integers(0, 256, (64, 3, 16, 24), dtype=np.uint8))
    y = augmented(x, *names)
    assert (y.dtype, y.shape) == (torch.uint8, x.shape)
    torch.testing.assert_close(y.float(), augmented(x.float(), *names), atol=0.51, rtol=0)
    bits = augmented((x > 128).to(torch.uint8), *names)
    assert set(bits.unique().tolist()) == {0, 1}


def test_a_draw_belongs_to_key_and_row(rng):
    x = torch.from_numpy(rng.random((64, 1, 16, 24), dtype=np.float32))
    names = ["flip", "shift", "crop"]
    whole = augmented(x, *names)
    some = np.array([40, 3, 17])
    assert torch.equal(augmented(x[some], *names, rows=some), whole[some])
    assert not torch.equal(augmented(x, *names, key=6), whole)
    assert torch.equal(augmented(x, "crop", "flip", "shift", "flip"), whole)
    one = x[:1].expand(64, 1, 16, 24)
    assert len(torch.unique(augmented(one, *names), dim=0)) == 64


@pytest.mark.parametrize("names", [["flip"], ["flip", "shift", "crop"]], ids=str)
@pytest.mark.parametrize("binarise", ["none", "static", "dynamic"])
def test_batches_are_the_same_from_memory_stream_and_anywhere(photos, names, binarise):
    words = {"batch_size": 20, "binarise": binarise, "augment": names, "seed": 4}
    made = [Batches(photos, ROWS, resident=r, **words) for r in (True, False)]
    x, y = (torch.cat([batch.x for batch in batches.epoch(3)]) for batches in made)
    assert torch.equal(x, y)
    for batches in made:
        assert torch.equal(torch.cat([batch.x for batch in batches.epoch(3, 2)]), x[40:])
    plain = Batches(photos, ROWS, **(words | {"augment": ()}))
    same = torch.cat([batch.x for batch in plain.epoch(3)])
    assert not torch.equal(x, same)
    order = plain.order(3)
    if binarise == "none" and names == ["flip"]:
        assert ((x == same) | (x == same.flip(-1))).all(-1).all()
        another = torch.cat([batch.x for batch in made[0].epoch(4)])[np.argsort(made[0].order(4))]
        assert not torch.equal(x[np.argsort(order)], another)


def test_on_a_device_as_in_memory(photos):
    from zatlas.data import counter_rng
    from zatlas.data.batches import _STATIC, _load, _OnDevice

    host = Batches(photos, ROWS, batch_size=20, augment=["shift", "crop"])
    there = Batches(photos, ROWS, batch_size=20, augment=["shift", "crop"])
    held = _load(photos, ROWS, "none", counter_rng.key(0, _STATIC))
    there._store = _OnDevice(held, host._store.shown)
    for start in (0, 2):
        for one, two in zip(host.epoch(1, start), there.epoch(1, start), strict=True):
            torch.testing.assert_close(one.x, two.x, rtol=1e-6, atol=0)


def test_refused(rng):
    table = ArraySource("table", rng.normal(size=(30, 4)))
    with pytest.raises(UsageError, match="table holds vectors of 4 numbers, and only images can be changed by flip"):
        Batches(table, np.arange(30), batch_size=2, augment=["flip"])
    with pytest.raises(UsageError, match="did you mean flip"):
        Batches(table, np.arange(30), batch_size=2, augment=["filp"])


def test_the_configuration_knows_the_same_names():
    annotation = DataConfig.model_fields["augment"].annotation
    assert set(get_args(get_args(annotation)[0])) == set(AUGMENTATIONS)
    assert DataConfig(augment="flip, crop").augment == ["flip", "crop"]
    assert DataConfig(augment=()).augment == DataConfig(augment="none").augment == []
