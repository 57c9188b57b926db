"""Any state_dict by a mapping."""

import numpy as np
import pytest
import torch
from torch import nn

from zatlas.errors import UsageError, ZatlasError
from zatlas.importers import import_weights

MAPPING = """
ignore = ["classifier.*"]
[model]
network = "course-mlp"
latent_dim = 3
[data]
shape = [1, 4, 4]
[tensors]
"encoder.net.layers.0.*" = "fc1.*"
"encoder.net.layers.2.*" = ["fc21.*", "fc22.*"]
"decoder.net.layers.*" = "dec.*"
"""


class Course(nn.Module):
    """The VAE of many a tutorial, and a classifier that nobody asked for."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(16, 400), nn.Linear(400, 3), nn.Linear(400, 3)
        self.dec = nn.Sequential(nn.Linear(3, 400), nn.ReLU(), nn.Linear(400, 16))
        self.classifier = nn.Linear(3, 10)

    def encode(self, x):
        h = self.fc1(x.flatten(1)).relu()
        return self.fc21(h), self.fc22(h)


@pytest.fixture
def course(tmp_path):
    torch.manual_seed(1)
    net = Course()
    torch.save({"epoch": 3, "state_dict": net.state_dict()}, tmp_path / "course.pt")
    return net


def bring(tmp_path, text, name="run"):
    (tmp_path / "map.toml").write_text(text)
    return import_weights(tmp_path / "course.pt", "torch", mapping=tmp_path / "map.toml", out=tmp_path / name)


def codes(run, x):
    with torch.no_grad():
        q = run.model.encode(x)
    return q.mean, 2 * q.stddev.log()


def test_a_mapping_names_stacks_and_leaves_out(tmp_path, course):
    run = bring(tmp_path, MAPPING)
    x, z = torch.rand(5, 1, 4, 4), torch.randn(5, 3)
    with torch.no_grad():
        torch.testing.assert_close(codes(run, x), course.encode(x), atol=1e-5, rtol=1e-5)
        wanted = course.dec(z).sigmoid().numpy().reshape(-1, 1, 4, 4)
    np.testing.assert_allclose(run.decode(z.numpy()).mean, wanted, atol=1e-5)


def test_what_surrounds_a_network_of_zatlas_does_nothing(tmp_path, course):
    """mlp and conv have a standardisation and an offset of their own: with a neutral one the decoder is the network."""
    del course
    text = MAPPING.replace('"course-mlp"', '"burda"').replace("ignore = [", "ignore = ['fc21.*', 'fc22.*', ")
    torch.manual_seed(2)
    e, d = (nn.Sequential(*(nn.Linear(a, b) for a, b in s)) for s in (SIZES, [(3, 200), (200, 200), (200, 16)]))
    torch.save(
        {f"{k}.{n}": t for k, m in (("e", e), ("d", d)) for n, t in m.state_dict().items()}, tmp_path / "course.pt"
    )
    head, _, _ = text.partition("[tensors]")
    maps = [
        f'"{ours}.net.layers.{2 * i}.*" = "{k}.{i}.*"'
        for ours, k in (("encoder", "e"), ("decoder", "d"))
        for i in range(3)
    ]
    run = bring(tmp_path, head.replace("ignore", "#") + "[tensors]\n" + "\n".join(maps))
    x = torch.rand(2, 1, 4, 4)
    with torch.no_grad():
        h = e[2](e[1](e[0](x.flatten(1)).tanh()).tanh())
        torch.testing.assert_close(torch.cat(codes(run, x), 1), h, atol=1e-5, rtol=1e-5)


SIZES = [(16, 200), (200, 200), (200, 6)]


@pytest.mark.parametrize("key", ["interleaved", "swapped"])
def test_rows_are_put_in_order(tmp_path, course, key):
    """A file with one last layer, its rows in another order, gives what the separate layers give."""
    tensors = course.state_dict()
    for part in ("weight", "bias"):
        mean, log_variance = tensors.pop(f"fc21.{part}"), tensors.pop(f"fc22.{part}")
        pairs = torch.stack([mean, log_variance], 1).flatten(0, 1)
        tensors[f"head.{part}"] = pairs if key == "interleaved" else torch.cat([log_variance, mean])
    torch.save(tensors, tmp_path / "course.pt")
    text = MAPPING.replace('["fc21.*", "fc22.*"]', '"head.*"')
    run = bring(tmp_path, f'{key} = ["encoder.net.layers.2.*"]\n' + text)
    x = torch.rand(5, 1, 4, 4)
    with torch.no_grad():
        torch.testing.assert_close(codes(run, x), course.encode(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("ignore", "ignored", "there is no ignored in a mapping; did you mean ignore"),
        ("[data]", "[date]", "there is no date in a mapping; did you mean data"),
        ("shape = [1, 4, 4]", "", r"wants a section \[data\]"),
        ("shape = [1, 4, 4]", "shape = [16, 0]", r"data.shape wants \[C, H, W\] or \[features\], not \[16, 0\]"),
        ("shape = [1, 4, 4]", 'shape = [16]\nvalues = "unity"', "data.values cannot be 'unity'; did you mean unit"),
        ("shape = [1, 4, 4]", "shape = [16]\nsize = 3", "there is no data.size in a mapping"),
        ('"course-mlp"', '"course-mpl"', "network.kind cannot be 'course-mpl'; did you mean course-mlp"),
        ('"fc1.*"', '"fcl.*"', r"wants fcl.(weight|bias) for encoder.net.layers.0.\1, .* did you mean fc1.\1"),
        ('"fc1.*"', "3", "encoder.net.layers.0.* wants the name of a tensor, or a list"),
        ('"fc1.*"', '"*.*"', r"has more than one \* on one side"),
        ("net.layers.0", "net.layer.0", r"names encoder.net.layer.0.\*, and there is no such tensor; did you mean"),
        ('["classifier.*"]', "[]", "classifier.bias is left over; map it, or add it to ignore"),
        ('["fc21.*", "fc22.*"]', '["fc21.*", "dec.0.*"]', r"fc21.weight \[3, 400\] and dec.0.weight \[400, 3\] cannot"),
        ('"decoder.net.layers.*" = "dec.*"', '"decoder.net.layers.0.*" = "dec.0.*"', "dec.2.bias is left over"),
        (
            "latent_dim = 3",
            "latent_dim = 4",
            r"is \[3?6?.*\] where the course-mlp network for 1x4x4 with 4 latent units",
        ),
        ("shape = [1, 4, 4]", "shape = [1, 5, 4]", r"fc1.weight is \[400, 16\] where .* has \[400, 20\]"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_in_a_sentence(tmp_path, course, before, after, sentence):
    assert before in MAPPING
    with pytest.raises(ZatlasError, match=sentence):
        bring(tmp_path, MAPPING.replace(before, after, 1))
    assert not (tmp_path / "run").exists()


def test_a_tensor_that_is_not_given_is_named(tmp_path, course):
    text = MAPPING.replace('"decoder.net.layers.*" = "dec.*"', "").replace(
        '["classifier.*"]', '["classifier.*", "dec.*"]'
    )
    with pytest.raises(ZatlasError, match=r"nothing is given for decoder.net.layers.0.weight, which the course-mlp"):
        bring(tmp_path, text)
    twice = MAPPING + '"decoder.net.layers.0.bias" = "dec.0.bias"\n'
    with pytest.raises(ZatlasError, match=r"gives decoder.net.layers.0.bias twice"):
        bring(tmp_path, twice)


def test_real_values_are_gaussian(tmp_path, course):
    run = bring(tmp_path, MAPPING.replace("shape = [1, 4, 4]", 'shape = [16]\nvalues = "real"'))
    z = torch.randn(4, 3)
    with torch.no_grad():
        np.testing.assert_allclose(run.decode(z.numpy()).mean, course.dec(z).numpy(), atol=1e-5)
    with pytest.raises(UsageError, match="imported without data"):
        run.held_out()
