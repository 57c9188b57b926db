"""Laws of batches that several processes share: put together, the parts are the batch."""

import numpy as np
import pytest
import torch

from zatlas.data import ArraySource, Batches, Cut

N, SIZE = 23, 8


def source():
    x = np.random.default_rng(0).integers(0, 256, (N, 1, 3, 3), dtype=np.uint8)
    return ArraySource("rows", x, np.arange(N) % 3)


@pytest.mark.parametrize("binarise", ["none", "static", "dynamic"])
@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("world", [2, 3, 5])
def test_the_parts_of_all_processes_are_the_batch(binarise, resident, world):
    make = lambda cut: Batches(source(), range(N), batch_size=SIZE, binarise=binarise, resident=resident, cut=cut)
    whole = list(make(None).epoch(3, start=1))
    parts = [list(make(Cut(rank, world)).epoch(3, start=1)) for rank in range(world)]
    for number, batch in enumerate(whole):
        there = [part[number] for part in parts]
        assert max(len(b.x) for b in there) - min(len(b.x) for b in there) <= 1
        assert torch.equal(torch.cat([b.x for b in there]), batch.x)
        assert torch.equal(torch.cat([b.y for b in there]), batch.y)


def test_weighted_means_over_parts_are_the_mean_over_the_batch():
    values = torch.arange(7.0)
    for world in (1, 2, 3, 9):
        cuts = [Cut(rank, world, pad=True, whole=7) for rank in range(world)]
        assert all(len(values[cut.rows(7)]) >= 1 for cut in cuts)  # nobody stands aside, who would hold up the others
        assert sum(values[cut.rows(7)].mean() * cut.weight for cut in cuts) / world == pytest.approx(3.0)
        assert sum(cut.count(7) for cut in cuts) == 7


def test_a_process_without_rows_leaves_a_batch_out_unless_it_is_padded():
    lengths = lambda pad: [
        [len(b.x) for b in Batches(source(), range(5), batch_size=4, cut=Cut(rank, 3, pad=pad)).epoch(0)]
        for rank in range(3)
    ]
    assert lengths(False) == [[1], [1], [2, 1]]
    assert lengths(True) == [[1, 1], [1, 1], [2, 1]]
