"""Any pair of modules becomes a run without code."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from zatlas.config import make_config
from zatlas.errors import UsageError
from zatlas.importers import from_modules
from zatlas.networks import ExportedNetwork
from zatlas.runs.opened import Run

pytestmark = pytest.mark.slow  # trains several runs

D = 3


class Encoder(nn.Module):
    """Normalisation, dropout, pooling, two heads."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(1, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.SiLU(), nn.Dropout(0.5), nn.MaxPool2d(2), nn.GELU()),
            *(nn.GroupNorm(2, 6), nn.Conv2d(6, 6, 1, bias=False), nn.LeakyReLU(0.1)),
        )
        self.mean, self.log_variance = nn.Linear(24, D), nn.Linear(24, D)

    def forward(self, x):
        h = self.body(2 * x - 1).view(x.size(0), -1)
        return self.mean(h), self.log_variance(h)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(D, 6 * 4)
        self.rest = nn.Sequential(nn.BatchNorm2d(6), nn.Upsample(scale_factor=2), nn.ConvTranspose2d(6, 1, 4, 2, 1))

    def forward(self, z):
        return self.rest(self.first(z).tanh().view(-1, 6, 2, 2)).sigmoid()


@pytest.fixture(scope="module")
def pair():
    torch.manual_seed(0)
    encoder, decoder = Encoder(), Decoder()
    for module in (encoder, decoder):  # statistics that are not those of the start
        for m in module.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.running_mean.normal_()
                m.running_var.uniform_(0.5, 2)
    return encoder, decoder


@pytest.fixture(scope="module")
def folder(pair, tmp_path_factory):
    out = tmp_path_factory.mktemp("modules") / "run"
    from_modules(*pair, shape=(1, 8, 8), latent_dim=D, head="tuple", output="mean", out=out)
    return out


def test_the_run_gives_what_the_modules_give(pair, folder):
    """Opened from its folder alone, for any number of examples, and with several draws at once."""
    encoder, decoder = (module.eval() for module in pair)
    run = Run(folder)
    with torch.no_grad():
        for n in (1, 2, 37):
            x, z = torch.rand(n, 1, 8, 8), torch.randn(n, D)
            q = run.model.encode(x)
            mean, log_variance = encoder(x)
            torch.testing.assert_close(q.mean, mean, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(2 * q.stddev.log(), log_variance, atol=1e-5, rtol=1e-5)
            np.testing.assert_allclose(run.decode(z.numpy()).mean, decoder(z).numpy(), atol=1e-5)
        inference = run.model.infer(x, samples=2)
        assert inference.px.mean.shape == (2, n, 1, 8, 8)
    assert run.sample(3)[0].mean.shape == (3, 1, 8, 8)
    assert run.unit_rates(20).shape == (D,)


def test_the_modules_are_left_as_they_were(pair):
    encoder, decoder = pair
    encoder.train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    from zatlas.networks.tracing import trace

    trace(decoder, (D,), "decoder")
    assert encoder.training
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())


def test_the_run_holds_tensors_and_a_graph_of_words(folder):
    names = {p.name for p in folder.rglob("*") if p.is_file()}
    assert names == {"config.toml", "run.json", "state.json", "tensors.safetensors"}
    graph = Run(folder).config.network.encoder_graph
    operators = {line[1] for line in map(json.loads, graph)} - {"parameter", "buffer", "input", "output"}
    assert operators <= {name for name in operators if name.startswith("aten.") or name == "getitem"}
    assert "aten.convolution.default" in operators


@pytest.mark.parametrize("head", ["mean-logvar", "interleaved", "mean"])
def test_heads(tmp_path, head):
    torch.manual_seed(1)
    out = D if head == "mean" else 2 * D
    encoder, decoder = nn.Linear(5, out), nn.Linear(D, 5)
    run = from_modules(encoder, decoder, shape=(5,), latent_dim=D, head=head, values="real", out=tmp_path / "run")
    x, z = torch.randn(4, 5), torch.randn(4, D)
    with torch.no_grad():
        q, said = run.model.encode(x), encoder(x)
        wanted = said[:, 0::2] if head == "interleaved" else said[:, :D]
        torch.testing.assert_close(q.mean, wanted, atol=1e-6, rtol=1e-6)
        np.testing.assert_allclose(run.decode(z.numpy()).mean, decoder(z).numpy(), atol=1e-6)
    assert run.config.model.kind == ("ae" if head == "mean" else "vae")


class Random(nn.Module):
    def forward(self, x):
        return torch.cat([x[:, :D], x[:, :D]], 1) + torch.randn(x.shape[0], 2 * D)


class Wrong(nn.Module):
    def forward(self, x):
        raise ValueError("no such layer\nand more")


class Fixed(nn.Module):
    def forward(self, x):
        return torch.cat([x, x], 1).view(len(x), -1)[:, : 2 * D]


class Branching(nn.Module):
    def forward(self, x):
        return torch.zeros(x.shape[0], 2 * D) if x.sum() > 0 else torch.ones(x.shape[0], 2 * D)


@pytest.mark.parametrize(
    ("encoder", "options", "sentence"),
    [
        (nn.Linear(5, 4), {}, r"the encoder fails on \[3, 5\]: it gives 4 numbers an example where 6 are wanted"),
        (nn.Linear(4, 6), {}, r"the encoder fails on \[3, 5\]: mat1 and mat2"),
        (Wrong(), {}, "the encoder fails on .* no such layer.$"),
        (Random(), {}, "the encoder cannot be written down: aten.randn.* draws at random"),
        (Branching(), {}, "the encoder cannot be traced for any number of examples"),
        (Fixed(), {}, r"the encoder cannot be traced .*\(len\(x\) fixes it"),
        (nn.Linear(5, 6), {"head": "interleave"}, "head cannot be 'interleave'; did you mean interleaved"),
        (nn.Linear(5, 6), {"output": "sigmoid"}, "output cannot be 'sigmoid'"),
        (nn.Linear(5, 6), {"shape": (2, 5)}, r"shape wants \[C, H, W\] or \[features\], not \(2, 5\)"),
    ],
)
def test_what_cannot_be_brought_in_is_refused_in_a_sentence(tmp_path, encoder, options, sentence):
    words = {"shape": (5,), "latent_dim": D, **options}
    with pytest.raises(UsageError, match=sentence):
        from_modules(encoder, nn.Linear(D, 5), out=tmp_path / "run", **words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('["f", "aten.from_file.default", ["/etc/passwd"], {}]', "none of PyTorch's core operators"),
        ('["f", "aten.__class__.default", [], {}]', "there is no operator"),
        ('["f", "aten.relu.nothing", [], {}]', "there is no operator"),
        ('["f", "os.system", ["true"], {}]', "there is no operator"),
        ('["f", "eval", ["1"], {}]', "there is no operator"),
        ('["f", "aten.rand.default", [[2]], {}]', "draws at random"),
        ('["f", "buffer", [2], "load"]', "is no line of a graph"),
        ('["f"', "is no line of a graph"),
        ('{"f": 1}', "is no line of a graph"),
    ],
)
def test_a_graph_runs_core_operators_and_nothing_else(line, sentence):
    with pytest.raises(UsageError, match=f"line 2 of the exported network: .*{sentence}"):
        ExportedNetwork(['["x", "input"]', line, '["x", "output"]'], 1)


def test_the_word_exported_wants_its_graphs():
    with pytest.raises(UsageError, match=r"what zatlas.importers.from_modules makes of modules"):
        make_config(("here", {"model": {"network": "exported"}}))
    with pytest.raises(UsageError, match=r"network.encoder_graph belongs to network.kind = 'exported'"):
        make_config(("here", {"model": {"encoder_graph": ["x"]}}))
    with pytest.raises(UsageError, match=r"goes with model.kind = 'ae' or 'vae'"):
        make_config(("here", {"model": {"kind": "cvae", "network": "exported"}}))
