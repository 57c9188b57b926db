"""PSNR and RMSE by hand, and bits per dimension of a uniform law."""

import math

import pytest
import torch

from zatlas.distributions.categorical import Categorical
from zatlas.evaluation import Figure, Reconstruction, bits_per_dimension, quoted


def test_psnr_is_ten_log10_of_one_over_the_mean_squared_error_of_each_image():
    # skimage.metrics.peak_signal_noise_ratio(a, a + d, data_range=255) for d = 1, 16: 48.1308 and 24.0484 dB
    squared = torch.tensor([1.0, 256.0], dtype=torch.float64) / 255**2
    figures = Reconstruction(squared).figures()
    assert figures["psnr"].value == pytest.approx((48.1308036 + 24.0484040) / 2, abs=1e-5)
    assert figures["psnr"].unit == "dB"
    assert figures["rmse"].value == pytest.approx(math.sqrt(257 / 2))
    assert figures["rmse"].unit == "grey levels"


def test_a_perfect_image_counts_as_one_rounded_to_eight_bits():
    assert Reconstruction(torch.zeros(3)).figures()["psnr"].value == pytest.approx(10 * math.log10(12 * 255**2))
    assert Reconstruction(torch.zeros(3)).figures()["rmse"].value == 0


def test_a_uniform_law_over_256_values_costs_eight_bits():
    x = torch.randint(256, (5, 12)) / 255
    log_p = Categorical(torch.zeros(256, 12)).log_prob(x)
    figure = bits_per_dimension(Figure(log_p.mean().item(), 0.0, 5, "exact", "nats"), 12)
    assert figure.value == pytest.approx(8, abs=1e-5)
    terms = {"loss": 1.0, "distortion": -log_p.mean().item() - 1, "rate": 1.0}
    assert quoted(terms, bits_over=12, shown=None)["bits_per_dimension"] == pytest.approx(8, abs=1e-5)
    assert quoted(terms, bits_over=None, shown=None) == terms
