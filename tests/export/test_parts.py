"""The modules that leave give what the model gives, and draw as its prior draws."""

import pytest
import torch

from tests.export.conftest import parts, standing
from tests.laws import cases
from zatlas.export.parity import difference, torch_function
from zatlas.export.parts import parts_of

DRAWS = 4000
EVERY = [name for name in cases.MODELS if "konny" not in name]  # 64x64 images say nothing more


@pytest.mark.parametrize("name", EVERY)
def test_modules_give_what_the_model_gives(name):
    made = standing(name)
    found = parts_of(made)
    names = [part.name for part in found.parts]
    assert "decoder" in names
    assert ("encoder" in names) == made.kind.infers
    assert ("prior" in names) == (not made.kind.point)
    for part in found.parts:
        assert difference(part, torch_function(part.module)) < 1e-5
        for port, tensor in zip(part.inputs, part.examples, strict=True):
            assert tensor.shape[1:] == port.shape
            assert str(tensor.dtype) == f"torch.{port.dtype}"


@pytest.mark.parametrize("name", EVERY)
def test_nothing_in_a_module_is_random(name):
    for part in parts(name).parts:
        before = torch.get_rng_state()
        first, second = (torch_function(part.module)(part.examples) for _ in range(2))
        assert torch.equal(torch.get_rng_state(), before)
        for one, other in zip(first, second, strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in (*cases.FLAT, "ppca", "ladder-mlp", "gan-mlp", "cgan-mlp")
        if "diagonal" in name or "-normal" not in name
    ],
)
def test_codes_from_noise_have_the_moments_of_the_prior(name):
    """Against draws of the model's own, which share no code with the module but the networks."""
    made = standing(name)
    found = parts_of(made)
    prior = next(part for part in found.parts if part.name == "prior")
    torch.manual_seed(0)
    given = {"noise": torch.randn(DRAWS, made.latent_dim)}
    y = torch.eye(cases.LABELS)[:1].expand(DRAWS, -1) if made.kind.conditional else None
    given["y"] = y
    if "weights" in found.prior:
        assert sum(found.prior["weights"]) == pytest.approx(1)
        given["component"] = torch.multinomial(torch.tensor(found.prior["weights"]), DRAWS, replacement=True)
    with torch.no_grad():
        ours = prior.module(*(given[port.name] for port in prior.inputs))
        theirs = torch.cat(made.model.generate(DRAWS, y).z, -1)[0].float()
    spread = theirs.std(0)
    assert ((ours.mean(0) - theirs.mean(0)).abs() < 6 * spread * (2 / DRAWS) ** 0.5).all()
    assert ((ours.std(0) / spread).log().abs() < 0.15).all()


def test_numbers_of_codewords_are_left_out_of_the_comparison_only_where_two_are_as_near():
    encoder = parts("vqvae-mlp").parts[0]
    assert encoder.name == "encoder"
    clear = encoder.clear(encoder.examples, 1e-4)
    assert clear.float().mean() > 0.8
    model = encoder.module.model
    with torch.no_grad():
        model.codebook.codewords[1] = model.codebook.codewords[0]  # a tie, wherever one of the two is the nearest
        tied = encoder.clear(encoder.examples, 1e-4)
        nearest = encoder.expected(encoder.examples)[1]
    assert not tied[nearest <= 1].any()


def test_a_sequence_of_codewords_is_drawn_as_the_record_says():
    """The loop in plain tensors gives sequences as probable as the model's own."""
    made = standing("vqvae-gradient")
    found = {part.name: part for part in parts_of(made).parts}
    places, words = found["prior"].inputs[0].shape[0], found["prior"].inputs[0].numbers
    torch.manual_seed(0)
    indices = torch.zeros(DRAWS, places, dtype=torch.int64)
    with torch.no_grad():
        for p in range(places):
            indices[:, p] = torch.multinomial(found["prior"].module(indices)[:, p].softmax(-1), 1)[:, 0]
        ours = torch.stack([(indices == word).float().mean(0) for word in range(words)])
        own = made.model.prior.sample(DRAWS)
        theirs = torch.stack([(own == word).float().mean(0) for word in range(words)])
        assert (ours - theirs).abs().max() < 6 * (0.5 / DRAWS) ** 0.5
        z = found["codebook"].module(indices)
        assert torch.equal(made.model.codebook.nearest(z), indices)


def test_a_prior_that_no_graph_can_draw_from_is_refused_in_a_sentence():
    from torch.distributions import Independent, StudentT

    from zatlas.errors import UsageError
    from zatlas.export.drawing import draw_of

    with pytest.raises(UsageError, match=r"gives a Independent has no form .* --hub"):
        draw_of(Independent(StudentT(3.0, torch.zeros(2)), 1), torch.nn.Identity())
