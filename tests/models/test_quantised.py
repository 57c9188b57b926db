"""The VQ-VAE is a latent-variable model like the others: its bound is one, and its pieces keep their names."""

import copy
import itertools

import pytest
import torch

from zatlas.models.quantised import VectorQuantised
from zatlas.networks import BernoulliLikelihood, Decoder, MLPDecoder, MLPEncoder
from zatlas.networks.code_maps import CodeMapDecoder, CodeMapEncoder
from zatlas.networks.code_prior import CausalTransformer
from zatlas.networks.codebook import GradientCodebook, MovingCodebook
from zatlas.objectives import importance_bound, negative_elbo, rate

KINDS = [MovingCodebook, GradientCodebook]


def tiny(kind=MovingCodebook, positions=3, codewords=4, size=5):
    """Vectors of bits, fully connected, with a prior that is not uniform."""
    torch.manual_seed(0)
    prior = CausalTransformer(positions, codewords, width=16, heads=2)
    torch.nn.init.normal_(prior.out.weight, std=0.3)
    encoder, decoder = MLPEncoder(size, [16], 2 * positions), MLPDecoder(2 * positions, [16], (size,))
    return VectorQuantised(encoder, kind(codewords, 2), Decoder(decoder, BernoulliLikelihood(1)), prior)


def images(shape=(3, 14, 9), blocks=1):
    torch.manual_seed(0)
    encoder, net = CodeMapEncoder(shape, (4, 8), 2, blocks=blocks), CodeMapDecoder(2, (4, 8), shape, blocks=blocks)
    prior = CausalTransformer(encoder.positions, 7, width=16, heads=2)
    return VectorQuantised(encoder, MovingCodebook(7, 2), Decoder(net, BernoulliLikelihood(3)), prior)


def test_shapes_and_determinism():
    model, x = images(), torch.rand(6, 3, 14, 9)
    assert model.latent_dims == (4 * 3 * 2,)
    inference = model.infer(x, samples=4)
    (level,) = inference.levels
    assert level.z.shape == (4, 6, 24)
    assert inference.px.mean.shape == (4, 6, 3, 14, 9)
    assert rate(inference).shape == (6,)
    assert torch.equal(model.infer(x, noise=torch.randn(4, 6, 24)).px.mean, inference.px.mean)
    assert torch.equal(model.encode(x).mean, level.q.code)
    again = model.generate(z=(level.q.mean,))
    assert torch.equal(again.px.mean, model.generate(z=(level.q.mean,)).px.mean)
    torch.testing.assert_close(again.px.mean, inference.px.mean[:1])
    drawn = model.generate(5)
    assert drawn.z[0].shape == (1, 5, 24)
    assert drawn.px.mean.shape == (1, 5, 3, 14, 9)


def test_labels_are_ignored():
    model, x, y = images(), torch.rand(6, 3, 14, 9), torch.eye(6)
    assert torch.equal(model.infer(x, y).px.mean, model.infer(x).px.mean)
    assert model.generate(y=y).z[0].shape == (1, 6, 24)


@pytest.mark.parametrize("kind", KINDS)
def test_the_elbo_is_a_bound_on_the_evidence(kind):
    """With 4^3 codes log p(x) is a sum; the one code that was chosen has less."""
    model, x = tiny(kind), (torch.rand(40, 5) < 0.5).float()
    indices = torch.tensor(list(itertools.product(range(4), repeat=3)))
    with torch.no_grad():
        codes = model.codebook.lookup(indices)
        joint = model.generate(z=(codes[:, None],)).px.log_prob(x) + model.codes().log_prob(codes)[:, None]
        evidence = joint.logsumexp(0)
        inference = model.infer(x)
        elbo = -negative_elbo(inference, x)
        chosen = (inference.levels[0].q.indices * torch.tensor([16, 4, 1])).sum(-1)
    torch.testing.assert_close(elbo, joint.gather(0, chosen[None])[0])
    torch.testing.assert_close(importance_bound(inference, x), elbo)
    assert (elbo < evidence).all()
    # and the evidence is one: over all x it sums to 1
    everything = torch.tensor(list(itertools.product([0.0, 1.0], repeat=5)))
    with torch.no_grad():
        prior = model.codes().log_prob(codes)[:, None]
        total = (model.generate(z=(codes[:, None],)).px.log_prob(everything) + prior).exp().sum()
    assert total.item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_codebook_has_one_name_and_the_prior_its_prefix(kind):
    model = tiny(kind)
    held = [name for name in model.state_dict() if "codewords" in name or "usage" in name]
    assert sorted(held) == ["codebook.codewords", "codebook.usage"]
    assert {name for name, _ in model.named_parameters() if name.startswith("prior.")} == {
        f"prior.{name}" for name, _ in model.prior.named_parameters()
    }


def test_a_copys_prior_uses_the_copys_codebook():
    model = tiny()
    twin = copy.deepcopy(model)
    twin.codebook.codewords.zero_()
    assert (twin.codes().sample((3,)) == 0).all()
    assert (model.codes().sample((3,)) != 0).all()
