"""What an imported run gives is what the program gave that trained it."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.importers.conftest import Disvae, Konny, expected
from zatlas.errors import UsageError
from zatlas.importers import import_weights

REAL = [
    ("VAE_mnist", "disvae", "burgess"),
    ("betaH_celeba", "disvae", "burgess"),
    ("konny_BetaVAE_H_z32_random_weights", "beta-vae-1konny", "konny-h"),
]


def gives(run, x, z):
    """Mean, log-variance and decoded mean."""
    with torch.no_grad():
        q = run.model.encode(torch.as_tensor(x))
    return q.mean.numpy(), 2 * np.log(q.stddev.numpy()), run.decode(np.asarray(z)).mean


def same(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "format", "network"), REAL)
def test_published_weights_give_the_outputs_of_the_original_program(pretrained, tmp_path, name, format, network):
    run = import_weights(pretrained / f"{name}.pt", format, out=tmp_path / "run")
    arrays = expected(pretrained, name)
    decoded = arrays["decoded"] if "decoded" in arrays else 1 / (1 + np.exp(-arrays["decoded_logits"]))
    same(gives(run, arrays["x"], arrays["z"]), (arrays["mean"], arrays["logvar"], decoded))
    assert run.config.network_kind == network
    assert run.folder.record["status"] == "imported"


def original(words):
    format, which, channels, size, latent_dim = words
    torch.manual_seed(latent_dim)
    net = Disvae(channels, size, latent_dim) if format == "disvae" else Konny(which, channels, latent_dim)
    return net, format, (channels, size, size), latent_dim


@pytest.mark.parametrize(
    "words",
    [("disvae", "", channels, size, z) for channels, size, z in ((1, 32, 1), (3, 32, 7), (1, 64, 10), (3, 64, 3))]
    + [
        pytest.param(("konny", which, channels, 64, z), marks=marks)
        for which, channels, z, marks in (
            ("h", 1, 10, pytest.mark.slow),
            ("h", 3, 5, ()),
            ("b", 3, 1, ()),
            ("b", 1, 9, pytest.mark.slow),
        )
    ],
    ids=lambda words: "-".join(map(str, words)),
)
def test_shapes_are_read_from_the_weights(tmp_path, words):
    net, format, shape, latent_dim = original(words)
    saved = net.state_dict() if format == "disvae" else net.checkpoint()
    torch.save(saved, tmp_path / "w.pt")
    x, z = torch.rand(3, *shape), torch.randn(3, latent_dim)
    with torch.no_grad():
        wanted = [part.numpy() for part in (*net.encode(x), net.decode(z))]
    run = import_weights(tmp_path / "w.pt", "disvae" if format == "disvae" else "beta-vae-1konny", out=tmp_path / "run")
    assert (run.spec.shape, run.latent_dim) == (shape, latent_dim)
    same(gives(run, x, z), wanted)
    assert run.folder.record["imported"]["file"] == "w.pt"


def test_safetensors_and_wrapped_names_are_read_too(tmp_path, disvae):
    file, tensors = disvae
    save_file({f"module.{name}": tensor for name, tensor in tensors.items()}, tmp_path / "w.safetensors")
    one = import_weights(file, "disvae", out=tmp_path / "one")
    two = import_weights(tmp_path / "w.safetensors", "disvae", out=tmp_path / "two")
    z = np.ones((2, 4), np.float32)
    assert np.array_equal(one.decode(z).mean, two.decode(z).mean)


@pytest.mark.slow
def test_a_run_without_data_draws_and_walks_and_says_what_it_lacks(tmp_path, disvae):
    from zatlas import walks

    run = import_weights(disvae[0], "disvae", out=tmp_path / "run")
    assert run.sample(3)[0].mean.shape == (3, 1, 32, 32)
    assert walks.traverse(run, steps=3).arrays["mean"].shape == (4, 3, 1, 32, 32)
    with pytest.raises(UsageError, match="was imported without data: import it again with --data"):
        run.held_out()


def test_units_are_ordered_by_what_they_carry(tmp_path, disvae):
    """A unit of which the decoder and the encoder know nothing has no rate."""
    file, tensors = disvae
    tensors["encoder.mu_logvar_gen.weight"][4:6] = 0  # mean and log-variance of the third unit
    tensors["encoder.mu_logvar_gen.bias"][4:6] = 0
    torch.save(tensors, file)
    run = import_weights(file, "disvae", out=tmp_path / "run")
    rates = run.unit_rates(20)
    assert run.has_rates
    assert rates[2] == 0
    assert (rates[[0, 1, 3]] > 0).all()


def test_data_are_resized_to_what_the_model_takes(tmp_path, disvae):
    run = import_weights(disvae[0], "disvae", out=tmp_path / "run", data="digits")
    assert run.source.spec.shape == (1, 32, 32)
    assert run.folder.record["data"]["name"] == "digits"
    assert len(run.encode(run.spread("test", 5)).mean) == 5


@pytest.mark.slow
def test_training_goes_on_from_the_imported_weights(tmp_path, disvae):
    from zatlas.runs.training import resume

    before = import_weights(disvae[0], "disvae", out=tmp_path / "run", data="digits")
    first = before.elbo(before.spread("test", 100)).distortion.mean()
    after = resume(tmp_path / "run", changes={"steps": 20})
    assert after.elbo(after.spread("test", 100)).distortion.mean() < first
    assert after.folder.record["status"] == "finished"


def test_nothing_but_tensors_and_words_is_written(tmp_path, disvae):
    import_weights(disvae[0], "disvae", out=tmp_path / "run")
    files = sorted(str(p.relative_to(tmp_path / "run")) for p in (tmp_path / "run").rglob("*") if p.is_file())
    step = "checkpoints/step-00000000"
    assert files == [f"{step}/state.json", f"{step}/tensors.safetensors", "config.toml", "run.json"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["imported"]["format"] == "disvae"
