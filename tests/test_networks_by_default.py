"""Which network stands for ``auto``: the rule, without the measuring."""

import numpy as np
import pytest

from zatlas.config import make_config
from zatlas.recipes import FEW_ROWS, network_name
from zatlas.runs.training import resume, train
from zatlas.types import DataSpec


def chosen(shape, rows=0, kind="vae", **limits):
    values = {"model": {"kind": kind}, "training": limits}
    return network_name(make_config(("the test", values)), DataSpec(shape, "uint8"), rows)


@pytest.mark.parametrize(
    ("shape", "rows", "limits", "network"),
    [
        ((1, 28, 28), 57_000, {"seconds": 600}, "mlp"),
        ((1, 28, 28), 0, {}, "mlp"),  # nobody knows how many
        ((3, 32, 32), 47_500, {"seconds": 60}, "conv"),
        ((1, 64, 64), 660_000, {"seconds": 60}, "mlp"),
        # few grey ones: residual blocks where there is time for five passes
        ((1, 28, 28), 570, {"seconds": 5}, "mlp"),
        ((1, 28, 28), 570, {"seconds": 20}, "resnet"),
        ((1, 28, 28), 1_900, {"seconds": 20}, "mlp"),
        ((1, 28, 28), 1_900, {"seconds": 60}, "resnet"),
        ((1, 28, 28), 570, {}, "resnet"),
        ((1, 28, 28), 570, {"epochs": 4}, "mlp"),
        ((1, 28, 28), 570, {"epochs": 5}, "resnet"),
        ((1, 28, 28), 570, {"epochs": 5, "seconds": 5}, "mlp"),
        ((1, 28, 28), 640, {"steps": 99}, "mlp"),
        ((1, 28, 28), 640, {"steps": 100}, "resnet"),
        ((1, 28, 28), FEW_ROWS, {}, "mlp"),
        ((1, 28, 28), FEW_ROWS - 1, {}, "resnet"),
        # the larger the image, the more it takes
        ((1, 64, 64), 2_400, {"seconds": 60}, "conv"),
        ((1, 64, 64), 2_400, {"seconds": 300}, "conv"),
        ((1, 48, 48), 2_400, {}, "conv"),
        ((3, 47, 47), 2_400, {"seconds": 300}, "resnet"),
        ((3, 47, 47), 2_400, {"seconds": 60}, "conv"),
        ((1, 40, 400), 2_400, {"seconds": 10}, "mlp"),
        ((3, 128, 128), 600, {}, "conv"),
        ((1, 128, 96), 600, {}, "conv"),
        # small ones, and nothing to convolve
        ((1, 28, 20), 1_700, {"seconds": 180}, "mlp"),
        ((1, 28, 24), 1_700, {"seconds": 180}, "resnet"),
        ((1, 8, 8), 1_500, {}, "mlp"),
        ((3, 4, 4), 600, {}, "mlp"),
        ((12,), 600, {}, "mlp"),
    ],
)
def test_the_rule(shape, rows, limits, network):
    assert chosen(shape, rows, **limits) == network


def test_a_game_is_convolved_and_a_ladder_is_not():
    assert chosen((1, 28, 28), 570, "gan") == "conv"
    assert chosen((1, 28, 28), 570, "ladder") == "mlp"
    assert chosen((1, 28, 28), 570, "cvae") == chosen((1, 28, 28), 570, "ae") == "resnet"


def test_what_was_chosen_is_said_written_out_and_used(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 255, (60, 24, 24), dtype=np.uint8))
    said = []
    training = {"steps": 12, "batch_size": 16, "threads": 1, "precision": "fp32"}
    sections = {"data": {"source": str(tmp_path / "x.npy")}, "network": {"size": "xs"}, "training": training}
    run = train(make_config(("the test", sections)), out=tmp_path / "run", say=said.append)
    assert [sentence for sentence in said if sentence.startswith("Few ")] == [
        "Few    images, which an mlp would learn by heart: resnet is slower and better; --network sets another"
    ]
    assert run.config.network_kind == "resnet"
    assert "ResNetEncoder" in repr(run.model)
    again = []
    resume(tmp_path / "run", changes={"steps": 13}, say=again.append)
    assert not any("network" in sentence for sentence in again)  # it keeps its own
