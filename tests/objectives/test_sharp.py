"""Reconstructions that look right: what each term sees, where features come from, what is said of the figures."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

import zatlas
from zatlas import recipes
from zatlas.config import make_config
from zatlas.data import ArraySource
from zatlas.errors import UsageError, ZatlasError
from zatlas.evaluation.ssim import ssim
from zatlas.measure import Options, evaluate_run
from zatlas.networks.features import FeatureStack, PatchCritic, of_vgg
from zatlas.report import write_report
from zatlas.runs.features import read_features, train_feature_classifier
from zatlas.types import Batch, DataSpec

LAYOUT = ("1>4 3/2", "pool 4>8 3/1")


def images(n=60, size=16, channels=1):
    """Bars at random places, in two classes: across and down."""
    rng = np.random.default_rng(0)
    x = np.zeros((n, channels, size, size), np.uint8)
    y = np.arange(n) % 2
    for image, down, at in zip(x, y, rng.integers(2, size - 2, n), strict=True):
        view = image if down else image.swapaxes(1, 2)
        view[:, at - 1 : at + 1] = 220
    return x, y


def test_distance_is_none_of_an_image_from_itself_and_grows_with_blur():
    torch.manual_seed(0)
    stack = FeatureStack(LAYOUT)
    x = torch.from_numpy(images()[0]).float() / 255
    assert stack.distance(x, x).abs().max() < 1e-12
    blurred = [F.avg_pool2d(F.pad(x, (n, n, n, n), mode="replicate"), 2 * n + 1, 1) for n in (1, 2, 4)]
    once, twice, most = (stack.distance(x, one).mean() for one in blurred)
    assert 0 < once < twice < most
    moved = x.clone().requires_grad_()
    stack.distance(moved, x).sum().backward()
    assert moved.grad.isfinite().all()
    assert not list(stack.parameters())  # no player owns them


def test_distance_is_that_of_the_formula():
    torch.manual_seed(1)
    stack = FeatureStack(("2>3 3/1",))
    a, b = torch.rand(2, 1, 2, 5, 5)
    features = [F.conv2d(x, stack.weight_0, stack.bias_0, padding=1).relu() for x in (a, b)]
    unit = [f / (f.square().sum(1, keepdim=True) + 1e-6).sqrt() for f in features]
    torch.testing.assert_close(stack.distance(a, b)[0], (unit[0] - unit[1]).square().sum(1).mean())


def test_a_critic_of_patches_sees_patches():
    torch.manual_seed(0)
    critic = PatchCritic((3, 64, 64), width=8)
    assert critic(torch.rand(2, 3, 64, 64)).shape == (2, 1, 8, 8)
    assert PatchCritic((1, 5, 7))(torch.rand(1, 1, 5, 7)).shape[1] == 1


def test_features_of_a_vgg():
    names = {0: (3, 4), 2: (4, 4), 5: (4, 8)}  # a pool before the third
    tensors = {f"features.{i}.weight": torch.randn(b, a, 3, 3) for i, (a, b) in names.items()}
    tensors |= {f"features.{i}.bias": torch.zeros(b) for i, (_, b) in names.items()}
    found = of_vgg(tensors | {"classifier.0.weight": torch.zeros(2, 2)}, "vgg-1")
    assert found.layout == ("3>4 3/1", "4>4 3/1", "pool 4>8 3/1")
    stack = FeatureStack(found.layout)
    stack.load_state_dict(found.tensors)
    x = torch.rand(1, 3, 8, 8)
    h = (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    h = F.conv2d(h, tensors["features.0.weight"], padding=1).relu()
    h = F.conv2d(h, tensors["features.2.weight"], padding=1).relu()
    h = F.conv2d(F.max_pool2d(h, 2), tensors["features.5.weight"], padding=1).relu()
    torch.testing.assert_close(stack(x)[-1], h)
    del tensors["features.2.weight"]
    with pytest.raises(ZatlasError, match="vgg-1 holds no features: give a file of `zatlas classifier --out`"):
        of_vgg(tensors, "vgg-1")


def test_files_that_hold_no_features(tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        read_features(tmp_path / "none.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    with pytest.raises(UsageError, match="is no whole safetensors file"):
        read_features(tmp_path / "torn.safetensors")
    save_file({"w": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ZatlasError, match="holds no features"):
        read_features(tmp_path / "other.safetensors")


def options(out, **more):
    network = {"kind": "spatial", "size": "xs", "code_channels": 2}
    return {"network": network, "objective": "sharp", "steps": 6, "out": out, "verbose": False} | more


@pytest.mark.slow
def test_a_run_keeps_its_features_and_says_that_it_has_no_likelihood(tmp_path):
    x, y = images()
    train_feature_classifier(ArraySource("bars", x, y), np.arange(len(x)), epochs=1, out=tmp_path / "bars.safetensors")
    objective = {"kind": "sharp", "features": str(tmp_path / "bars.safetensors"), "critic_from": 2}
    run = zatlas.train((x, y), **options(tmp_path / "run", objective=objective))
    assert run.config.objective.features_name.startswith("grey-cnn ")
    (tmp_path / "bars.safetensors").unlink()  # the checkpoint holds them
    again = zatlas.open(tmp_path / "run")
    features = again.game.objective.features
    assert torch.equal(features.weight_0, run.game.objective.features.weight_0)
    assert features.weight_0.shape == (16, 1, 5, 5)
    assert "nats" not in repr(again)
    assert {"absolute", "perceptual", "patches", "rate"} <= run.folder.record["result"].keys()
    assert not {"distortion", "bits_per_dimension"} & run.folder.record["result"].keys()
    found = evaluate_run(
        run, "train", metrics=["bound", "reconstruction", "ssim", "importance"], options=Options(rows=20)
    )
    assert "elbo" not in found["figures"]
    assert found["figures"]["rate"]["unit"] == "nats"
    assert "sharp, is no likelihood" in found["left_out"]["importance"]
    assert "no bound on log p(x)" in " ".join(found["warnings"])
    shown = run.reconstruct(run.spread("train", 20))
    expected = ssim(torch.from_numpy(shown[0]), torch.from_numpy(shown[2].mean).clamp(0, 1)).mean()
    assert found["figures"]["ssim.ssim"]["value"] == pytest.approx(float(expected), abs=1e-6)
    assert write_report(run).is_file()


def test_refusals(tmp_path):
    x, _ = images(40)
    with pytest.raises(UsageError, match=r"has no classes to learn some from: give objective.features = FILE"):
        zatlas.train(x, **options(tmp_path / "a"))
    with pytest.raises(UsageError, match="both 0, and nothing sees the image"):
        zatlas.train(x, **options(tmp_path / "b", objective={"kind": "sharp", "absolute": 0.0, "perceptual": 0.0}))
    with pytest.raises(UsageError, match="'sharp' is about images, not 5 columns"):
        zatlas.train(np.random.default_rng(0).random((40, 5)), objective="sharp", out=tmp_path / "c", verbose=False)
    colour = np.repeat(x, 3, 1)
    train_feature_classifier(ArraySource("bars", *images()), np.arange(60), epochs=1, out=tmp_path / "grey.safetensors")
    grey = {"kind": "sharp", "features": str(tmp_path / "grey.safetensors")}
    with pytest.raises(UsageError, match=r"are of images of 1 channels, and .* has 3: give --channels 1"):
        zatlas.train(colour, **options(tmp_path / "d", objective=grey))


def test_without_a_critic_there_is_one_player(tmp_path):
    objective = {"kind": "sharp", "perceptual": 0.0, "adversarial": 0.0}
    run = zatlas.train(images(40)[0], **options(tmp_path / "run", objective=objective, steps=2))
    assert run.game.players == ("model",)
    assert run.folder.record["opens"] == "best"


def test_the_model_is_paid_for_what_the_critic_takes_for_real():
    values = {
        "model": {"kind": "vae"},
        "network": {"kind": "spatial", "size": "xs", "code_channels": 1},
        "objective": {"kind": "sharp", "perceptual": 0.0, "adversarial": 0.25, "rate": 0.5, "critic_from": 10},
    }
    game = recipes.build_game(make_config(("test", values)), DataSpec((1, 16, 16), "uint8"), 60)
    batch = Batch(torch.from_numpy(images(8)[0]).float() / 255, None)
    assert not game.plays("critic", 4)
    assert game.plays("critic", 5)
    before, after = ((torch.manual_seed(0), game("model", batch, step))[1] for step in (9, 10))
    torch.testing.assert_close(before.loss, before.parts["absolute"] + 0.5 * before.parts["rate"])
    torch.testing.assert_close(after.loss, before.loss - 0.25 * after.parts["patches"])
    with torch.no_grad():  # a critic that says nothing loses one on each side
        game.objective.critic.layers[-1].weight.zero_()
        game.objective.critic.layers[-1].bias.zero_()
        torch.testing.assert_close(game("critic", batch, 10).loss, torch.ones(8))
        game.objective.critic.layers[-1].bias.fill_(2.0)  # everything is real: right by more than one, wrong by three
        torch.testing.assert_close(game("critic", batch, 10).loss, torch.full((8,), 1.5))
