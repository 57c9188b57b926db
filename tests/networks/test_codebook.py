"""Codebooks are running means that lose no codeword, and their prior is a distribution over sequences."""

import itertools
import math

import pytest
import torch
from torch.distributions import kl_divergence

from zatlas.distributions.codeword import CodeSequence, Codeword
from zatlas.networks.code_maps import CodeMapDecoder, CodeMapEncoder
from zatlas.networks.code_prior import CausalTransformer
from zatlas.networks.codebook import GRACE, GradientCodebook, MovingCodebook

KINDS = [MovingCodebook, GradientCodebook]


def book(kind=MovingCodebook, codewords=6, dim=3, **options):
    torch.manual_seed(0)
    return kind(codewords, dim, **options)


def prior(positions=4, codewords=3, seed=0, **options):
    """One that has learned something: its logits are of the order of one."""
    torch.manual_seed(seed)
    net = CausalTransformer(positions, codewords, **{"width": 16, "heads": 2} | options)
    torch.nn.init.normal_(net.out.weight, std=0.3)
    return net


def rows(tensor):
    return {tuple(row.tolist()) for row in tensor}


@pytest.mark.parametrize("kind", KINDS)
def test_a_code_comes_back_as_itself(kind):
    codebook = book(kind, 512, 8)
    indices = torch.randint(512, (5, 49))
    assert torch.equal(codebook.nearest(codebook.lookup(indices)), indices)
    q = codebook(torch.randn(5, 49 * 8))
    assert torch.equal(codebook.nearest(q.code), q.indices)
    assert torch.equal(codebook(q.code).code, q.code)


def test_the_nearest_codeword_is_the_nearest_also_beside_bfloat16():
    codebook, z = book(codewords=256, dim=8), torch.randn(50, 7 * 8)
    brute = torch.cdist(z.unflatten(-1, (7, 8)).double(), codebook.codewords.double()).argmin(-1)
    assert torch.equal(codebook.nearest(z), brute)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(codebook.nearest(z), brute)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_at_the_code_is_handed_straight_to_the_encoder(kind):
    codebook, encoded = book(kind), torch.randn(4, 6, requires_grad=True)
    q = codebook(encoded)
    f = lambda z: (z.sin() * torch.arange(1.0, 7)).sum()
    code = q.code.detach().requires_grad_()
    (expected,) = torch.autograd.grad(f(code), code)
    (found,) = torch.autograd.grad(f(q.rsample()), encoded)
    assert torch.equal(found, expected)
    assert torch.equal(q.rsample((5,))[3], q.code)
    assert torch.equal(q.from_noise(torch.randn(2, 4, 6))[1], q.code)
    assert (q.stddev == 0).all()
    assert (q.log_prob(q.rsample()) == 0).all()
    assert (q.log_prob(q.code + 1e-3) == -math.inf).all()
    assert q.expand((5, 4)).indices.shape == (5, 4, 2)
    if kind is GradientCodebook:
        q.rsample().sum().backward()
        assert codebook.codewords.grad is None


def test_moving_codewords_are_running_means():
    """On data whose assignment does not change, N_t = g^t N_0 + (1 - g^t) n and e_t is m_t / N_t with the like m_t."""
    codebook = book(codewords=3, dim=2, decay=0.8)
    start = torch.tensor([[10.0, 0.0], [-10.0, 0.0], [0.0, 10.0]])
    usage = torch.tensor([5.0, 2.0, 1.0])
    codebook.codewords.copy_(start)
    codebook.usage.copy_(usage)
    vectors = start.repeat_interleave(torch.tensor([3, 4, 1]), 0) + torch.randn(8, 2)
    for _ in range(7):
        codebook.follow(codebook(vectors.reshape(4, 4)))
    left = 0.8**7
    counts = torch.tensor([3.0, 4.0, 1.0])
    sums = torch.stack([vectors[:3].sum(0), vectors[3:7].sum(0), vectors[7]])
    expected = left * usage + (1 - left) * counts
    torch.testing.assert_close(codebook.usage, expected)
    moments = left * usage[:, None] * start + (1 - left) * sums
    torch.testing.assert_close(codebook.codewords, moments / expected[:, None])


@pytest.mark.parametrize("kind", KINDS)
def test_an_unused_codeword_becomes_a_vector_of_the_batch_and_the_others_stay(kind):
    codebook = book(kind, decay=1.0)
    vectors = 5 + torch.randn(20, 2 * 3)
    share = 40 / 6
    codebook.usage.copy_(share * torch.tensor([1.0, 0.04, 0.06, 2.0, 0.0, 1.0]))
    before = codebook.codewords.detach().clone()
    codebook.follow(codebook(vectors))
    revived = torch.tensor([False, True, False, False, True, False])
    assert torch.equal(codebook.codewords[~revived], before[~revived])
    assert rows(codebook.codewords[revived]) < rows(vectors.reshape(-1, 3))
    torch.testing.assert_close(codebook.usage[revived], torch.full((2,), GRACE * 0.05 * share))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [1, 40])
def test_the_first_batch_is_the_first_codebook(kind, batch):
    codebook, vectors = book(kind), torch.randn(batch, 2 * 3)
    codebook.follow(codebook(vectors))
    assert rows(codebook.codewords) <= rows(vectors.reshape(-1, 3))
    assert len(rows(codebook.codewords)) == min(6, 2 * batch)


def test_revival_saves_a_codebook_that_nothing_chose():
    """Vectors far from every codeword all choose one; soon they are shared out."""
    torch.manual_seed(0)
    codebook = book(codewords=16)
    codebook.usage.fill_(1.0)
    for _ in range(300):
        codebook.follow(codebook(20 + torch.randn(64, 3)))
    assert (codebook.counts(codebook(20 + torch.randn(640, 3)).indices) > 0).all()


def test_only_a_gradient_codebook_is_pulled():
    vectors = torch.randn(5, 2 * 3)
    assert (book().pull(book()(vectors)) == 0).all()
    codebook, vectors = book(GradientCodebook), vectors.requires_grad_()
    q = codebook(vectors)
    pull = codebook.pull(q)
    torch.testing.assert_close(pull, (vectors - q.code).square().sum(-1))
    pull.sum().backward()
    expected = torch.zeros(6, 3).index_add(0, q.indices.flatten(), 2 * (q.code - vectors).detach().reshape(-1, 3))
    torch.testing.assert_close(codebook.codewords.grad, expected)
    assert vectors.grad is None


@pytest.mark.parametrize(("positions", "codewords"), [(1, 5), (4, 3), (3, 1)])
def test_the_probabilities_of_all_sequences_sum_to_one(positions, codewords):
    net = prior(positions, codewords)
    everything = torch.cartesian_prod(*[torch.arange(codewords)] * positions).reshape(-1, positions)
    log_p = net.log_prob(everything)
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-5)
    if codewords > 1:
        assert log_p.std() > 0.1


def test_untrained_it_is_uniform():
    log_p = CausalTransformer(6, 10).log_prob(torch.randint(10, (2, 4, 6)))
    torch.testing.assert_close(log_p, torch.full((2, 4), -6 * math.log(10)))


def test_a_position_sees_only_those_before_it():
    net, indices = prior(6, 5), torch.randint(5, (3, 6))
    changed = indices.clone()
    changed[:, 3] = (changed[:, 3] + 1) % 5
    one, two = net(indices), net(changed)
    torch.testing.assert_close(one[:, :4], two[:, :4])
    assert (one[:, 4:] - two[:, 4:]).abs().amax((1, 2)).min() > 1e-3


def test_draws_have_the_probabilities_said():
    net, n = prior(), 20_000
    everything = torch.cartesian_prod(*[torch.arange(3)] * 4)
    p = net.log_prob(everything).exp()
    drawn = net.sample(n) @ torch.tensor([27, 9, 3, 1])
    counts = torch.bincount(drawn, minlength=81)
    chi2 = ((counts - n * p).square() / (n * p)).sum().item()
    assert chi2 < 80 + 4 * math.sqrt(160)


@pytest.mark.parametrize("kind", KINDS)
def test_the_prior_over_codes_is_that_over_numbers(kind):
    codebook = book(kind, 3, 2)
    p = CodeSequence(prior(), codebook)
    assert p.event_shape == (8,)
    z = p.sample((7,))
    torch.testing.assert_close(p.log_prob(z), p.log_prob_indices(codebook.nearest(z)))
    assert p.expand((5,)).sample((2,)).shape == (2, 5, 8)
    assert p.log_prob(z.expand(4, 7, 8)).shape == (4, 7)
    every = itertools.product(range(3), repeat=4)
    codes = codebook.lookup(torch.tensor(list(every)))
    assert p.log_prob(codes).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_the_rate_of_a_code_is_its_information():
    codebook = book(codewords=3, dim=2)
    q, p = codebook(torch.randn(5, 8)), CodeSequence(prior(), codebook)
    torch.testing.assert_close(kl_divergence(q, p), -p.log_prob_indices(q.indices))
    torch.testing.assert_close(kl_divergence(q, p), q.log_prob(q.code) - p.log_prob(q.code))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 37, 50), (2, 8, 6), (1, 3, 3)])
@pytest.mark.parametrize("blocks", [0, 1])
def test_a_map_of_codes_keeps_every_position_in_its_place(shape, blocks):
    torch.manual_seed(0)
    encoder = CodeMapEncoder(shape, (4, 8), 5, blocks=blocks)
    out = (2, *shape[1:])
    decoder = CodeMapDecoder(5, (4, 8), out, blocks=blocks)
    assert encoder.size == decoder.size
    x = torch.randn(3, *shape)
    z = encoder(x)
    assert z.shape == (3, encoder.positions * 5)
    assert decoder(z.expand(2, 3, -1)).shape == (2, 3, *out)
    vectors = z.unflatten(-1, (*encoder.size, 5))
    assert torch.equal(vectors[1, -1, 0], encoder.layers(x)[1, :, -1, 0])
    torch.testing.assert_close(decoder(z), decoder.layers(vectors.permute(0, 3, 1, 2)))


def test_a_codeword_is_a_distribution_over_flat_codes():
    q = Codeword(torch.randn(4, 6), torch.randn(4, 6), torch.zeros(4, 2, dtype=torch.long))
    assert (q.batch_shape, q.event_shape) == ((4,), (6,))
    assert not Codeword(torch.randn(1, 6, requires_grad=True), q.code[:1], q.indices[:1]).sample().requires_grad
