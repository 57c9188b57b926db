"""The autoencoders of latent diffusion: in, trained, out, with the outputs of the library that they come from."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import zatlas as za
from tests.cli.conftest import zatlas  # noqa: F401 (a fixture)
from zatlas import recipes
from zatlas.config import make_config
from zatlas.errors import UsageError, ZatlasError
from zatlas.export import export
from zatlas.importers import import_weights, start
from zatlas.networks.diffusers_layout import CONFIG, WEIGHTS
from zatlas.runs.training import train
from zatlas.types import DataSpec

SMALL = {"block_out_channels": [8, 16], "norm_num_groups": 4}
KL = {
    "usual": SMALL,
    "no-attention": {**SMALL, "mid_block_add_attention": False, "layers_per_block": 2, "latent_channels": 3},
    "no-quant-conv": {**SMALL, "use_quant_conv": False, "use_post_quant_conv": False, "block_out_channels": [8, 8, 16]},
}


@pytest.fixture(scope="module")
def diffusers():
    return pytest.importorskip("diffusers")


def saved(module, folder):
    """The module with its weights moved, so that no norm is the identity, in a folder."""
    torch.manual_seed(0)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.2 * torch.randn_like(p))
    module.eval().save_pretrained(folder)
    return module


def down_up(settings):
    n = len(settings["block_out_channels"])
    return {"down_block_types": ["DownEncoderBlock2D"] * n, "up_block_types": ["UpDecoderBlock2D"] * n}


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("name", KL)
def test_kl_gives_the_outputs_of_diffusers(diffusers, tmp_path, name):
    settings = {"sample_size": 16, "latent_channels": 4, **KL[name]}
    theirs = saved(diffusers.AutoencoderKL(**settings, **down_up(settings)), tmp_path / "vae")
    run = import_weights(tmp_path / "vae", "diffusers", out=tmp_path / "run")
    x = torch.rand(2, 3, 16, 16)
    q = theirs.encode(2 * x - 1).latent_dist
    ours = run.model.encode(x)
    torch.testing.assert_close(ours.mean.view(q.mean.shape), q.mean, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours.log_variance.view(q.mean.shape), q.logvar, atol=1e-4, rtol=1e-4)
    back = theirs.decode(q.mean).sample
    torch.testing.assert_close(2 * run.model.generate(z=(ours.mean,)).px.mean[0] - 1, back, atol=1e-4, rtol=1e-4)
    assert run.code_shape == tuple(q.mean.shape[1:])
    done = export(run, diffusers=tmp_path / "out")["diffusers"]
    again = diffusers.AutoencoderKL.from_pretrained(tmp_path / "out").eval()
    assert done["class"] == "AutoencoderKL"
    assert dict(again.config)["scaling_factor"] == theirs.config["scaling_factor"]
    for tensor, same in zip(theirs.state_dict().items(), again.state_dict().items(), strict=True):
        assert tensor[0] == same[0]
        assert torch.equal(tensor[1], same[1])


@pytest.mark.slow
@torch.no_grad()
def test_vq_gives_the_outputs_of_diffusers(diffusers, tmp_path):
    settings = {**SMALL, "sample_size": 16, "latent_channels": 4, "num_vq_embeddings": 12, "vq_embed_dim": 3}
    theirs = saved(diffusers.VQModel(**settings, **down_up(settings)), tmp_path / "vq")
    theirs.quantize.embedding.weight.mul_(10)
    theirs.save_pretrained(tmp_path / "vq")
    run = import_weights(tmp_path / "vq", "diffusers", out=tmp_path / "run")
    x = torch.rand(3, 3, 16, 16)
    z, _, (_, _, indices) = theirs.quantize(theirs.encode(2 * x - 1).latents)
    ours = run.model.encode(x)
    assert torch.equal(ours.indices.flatten(), indices.flatten())
    back = theirs.decode(z, force_not_quantize=True).sample
    torch.testing.assert_close(2 * run.model.generate(z=(ours.mean,)).px.mean[0] - 1, back, atol=1e-4, rtol=1e-4)
    export(run, diffusers=tmp_path / "out")
    again = diffusers.VQModel.from_pretrained(tmp_path / "out")
    assert all(
        torch.equal(a, b) for a, b in zip(again.state_dict().values(), theirs.state_dict().values(), strict=True)
    )


def written(folder, **config):
    """A folder as the library writes it, made without the library: from a model of ours."""
    settings = {"kind": "autoencoder-kl", "block_out_channels": [8, 16], "norm_num_groups": 4}
    values = make_config(("test", {"model": {"kind": "vae"}, "network": settings}))
    torch.manual_seed(1)
    model = recipes.build_model(values, DataSpec((3, 8, 8), "unit"))
    folder.mkdir()
    names = {n.removeprefix("encoder.net.").removeprefix("decoder.net."): t for n, t in model.state_dict().items()}
    tensors = {n: t.clone() for n, t in names.items() if n.startswith(("encoder.", "decoder.", "quant", "post"))}
    tensors = {n: t for n, t in tensors.items() if "likelihood" not in n}
    save_file(tensors, folder / WEIGHTS)
    said = {"_class_name": "AutoencoderKL", "_diffusers_version": "0.30.0", "sample_size": 8, "latent_channels": 4}
    said |= {"block_out_channels": [8, 16], "norm_num_groups": 4, **config}
    (folder / CONFIG).write_text(json.dumps(said))
    return folder, tensors


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"_class_name": "AutoencoderDC"}, "of class 'AutoencoderDC', and only AutoencoderKL"),
        ({"patch_size": [2, 2]}, r"\(diffusers 0.30.0\) has a key patch_size that is not known here"),
        ({"act_fn": "gelu"}, "act_fn is 'gelu', and only 'silu' can be read"),
        ({"down_block_types": ["DownBlock2D", "DownEncoderBlock2D"]}, "only DownEncoderBlock2D can be read"),
        ({"out_channels": 4}, "in_channels is 3 and out_channels 4"),
        ({"layers_per_block": "two"}, "layers_per_block is 'two' where a number"),
        ({"layers_per_block": 2}, "encoder.down_blocks.0.resnets.1.norm1.weight is missing"),
        ({"mid_block_add_attention": False}, "attentions.0.group_norm.bias has no place"),
        ({"latent_channels": 5}, r"conv_out.weight is \[8, 16, 3, 3\] where the autoencoder-kl network"),
        ({"norm_num_groups": 3}, "norm_num_groups = 3 must divide"),
        ({"sample_size": 9}, "divides height and width by 2, and these images are 9x9: give --resize 8"),
    ],
)
def test_what_does_not_fit_is_a_sentence(tmp_path, config, sentence):
    folder, _ = written(tmp_path / "vae", **config)
    with pytest.raises((ZatlasError, UsageError), match=sentence):
        import_weights(folder, "diffusers", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_folders_that_are_none(tmp_path):
    with pytest.raises(UsageError, match=r"reads a folder with config.json, and .*nowhere is none"):
        import_weights(tmp_path / "nowhere", "diffusers")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"holds no config.json"):
        import_weights(tmp_path / "empty", "diffusers")
    folder, _ = written(tmp_path / "vae")
    (folder / WEIGHTS).unlink()
    with pytest.raises(UsageError, match=r"one .safetensors file, .* and there is none"):
        import_weights(folder, "diffusers")


def test_sixteen_bits_are_converted_and_said(tmp_path):
    folder, tensors = written(tmp_path / "vae")
    save_file({name: tensor.half() for name, tensor in tensors.items()}, folder / WEIGHTS)
    said = []
    run = import_weights(folder, "diffusers", out=tmp_path / "run", say=said.append)
    assert said == [f"The weights of {WEIGHTS} are float16 and are used as float32."]
    kept = run.model.state_dict()["encoder.net.encoder.conv_in.weight"]
    assert torch.equal(kept, tensors["encoder.conv_in.weight"].half().float())


def test_former_names_of_attention(tmp_path):
    folder, tensors = written(tmp_path / "vae")
    former = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for name, tensor in tensors.items():
        new = next((name.replace(f".{a}.", f".{b}.") for a, b in former.items() if f".{a}." in name), name)
        renamed[new] = tensor[..., None, None] if new != name and tensor.dim() == 2 else tensor
    save_file({name: tensor.contiguous() for name, tensor in renamed.items()}, folder / WEIGHTS)
    run = import_weights(folder, "diffusers", out=tmp_path / "run")
    ours = run.model.state_dict()["decoder.net.decoder.mid_block.attentions.0.to_out.0.weight"]
    assert torch.equal(ours, tensors["decoder.mid_block.attentions.0.to_out.0.weight"])


@pytest.mark.slow
def test_training_starts_from_the_weights_at_another_size(tmp_path):
    folder, tensors = written(tmp_path / "vae", scaling_factor=0.5, _name_or_path="somewhere/else")
    x = np.random.default_rng(0).integers(0, 256, (40, 12, 12, 3), np.uint8)
    options = {"steps": 1, "learning_rate": 1e-12, "out": tmp_path / "run", "verbose": False}
    run = za.train(x.transpose(0, 3, 1, 2), start=start(folder), **options)
    assert run.code_shape == (4, 6, 6)
    torch.testing.assert_close(
        run.model.state_dict()["encoder.net.quant_conv.weight"], tensors["quant_conv.weight"], atol=1e-6, rtol=0
    )
    record = run.folder.record["started_from"]
    assert (record["format"], record["file"], len(record["sha256"])) == ("diffusers", "vae", 64)
    export(run, diffusers=tmp_path / "out")
    config = json.loads((tmp_path / "out" / CONFIG).read_text())
    assert (config["scaling_factor"], config["sample_size"]) == (0.5, 12)
    assert "_name_or_path" not in config
    with pytest.raises(UsageError, match=r"weights to start from are of network.kind = 'autoencoder-kl', and 'conv'"):
        za.train(x, start=start(folder), network="conv")
    with pytest.raises(UsageError, match=r"conv_in.weight is \[8, 3, 3, 3\], and the model has \[8, 1, 3, 3\]"):
        za.train(x[..., 0], start=start(folder), out=tmp_path / "grey", verbose=False)


@pytest.mark.slow
def test_a_start_of_log_variances_goes_into_the_bias(tmp_path):
    settings = {"kind": "autoencoder-kl", "block_out_channels": [8], "norm_num_groups": 4}
    values = {"data": {"source": "digits"}, "model": {"kind": "vae"}, "network": settings, "training": {"steps": 1}}
    values["posterior"] = {"start_log_variance": -2.0}
    run = train(make_config(("test", values)), out=tmp_path / "run")
    export(run, diffusers=tmp_path / "out")
    again = import_weights(tmp_path / "out", "diffusers", out=tmp_path / "again")
    x = torch.from_numpy(run.examples(run.spread("test", 2)))
    with torch.no_grad():
        ours, same = run.model.encode(x), again.model.encode(x)
    torch.testing.assert_close(ours.log_variance, same.log_variance)
    assert load_file(tmp_path / "out" / WEIGHTS).keys() == {
        name for name in load_file(tmp_path / "out" / WEIGHTS) if not name.startswith("prior")
    }


@pytest.mark.slow
def test_the_command_line(zatlas, tmp_path):  # noqa: F811
    folder, _ = written(tmp_path / "vae")
    told = zatlas("import", folder, "--from", "diffusers", "--resize", "16", "--out", tmp_path / "a", "--json")
    assert json.loads(told.out)["shape"] == [3, 16, 16]
    assert zatlas("sample", tmp_path / "a", "-n", 2, "--out", tmp_path / "s").status == 0
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (30, 3, 8, 8), np.uint8))
    told = zatlas("train", tmp_path / "x.npy", "--from", folder, "--steps", 1, "--out", tmp_path / "b", "-q")
    assert told.status == 0, told.err
    assert zatlas("export", tmp_path / "b", "--diffusers", tmp_path / "out").status == 0
    assert (tmp_path / "out" / CONFIG).is_file()
    refused = zatlas("import", folder, "--from", "disvae", "--resize", "16")
    assert (refused.status, "leave the size out" in refused.err) == (2, True)


def test_other_networks_are_not_written(digits_run):
    with pytest.raises(UsageError, match="--diffusers writes the networks autoencoder-kl"):
        export(digits_run, diffusers="nowhere")
