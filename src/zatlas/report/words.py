"""What data and figures are called for people."""

from __future__ import annotations

import re

DATA_KINDS = {
    "grey": "grey data: the cross-entropy of intensities, a loss and not a likelihood",
    "static": "statically binarised data",
    "dynamic": "dynamically binarised data",
    "uint8": "8-bit data, discretised likelihood",
    "real": "real-valued data",
    "game": "the data as they are; a GAN has no likelihood, and its terms are those of the game",
}
GAME = {
    "loss": "critic loss",
    "model_loss": "generator loss",
    "value": "value V(D,G)",
    "d_real": "mean D(x)",
    "d_fake": "mean D(G(z))",
}
NO_NATS = ("d_real", "d_fake", "penalty")
# Figures in nats, and below those that are none.
NATS = {
    "elbo": "ELBO",
    "loss": "loss",
    "distortion": "distortion",
    "rate": "rate",
    "log_likelihood": "log p(x)",
    "quadrature_error": "error of the grid",
    "lower_bound": "log p(x) from below",
    "upper_bound": "log p(x) from above",
    "gap": "gap between the two",
    "mutual_information": "mutual information",
    "total_correlation": "total correlation",
    "dimension_wise_kl": "dimension-wise KL",
    "elbo_amortised": "ELBO of the encoder",
    "elbo_optimised": "ELBO, fitted one by one",
    "amortisation_gap": "amortisation gap",
    "log_loss": "log loss",
    "mode_kl": "KL of the classes",
}
NAMES = {
    "effective_sample_size": "effective sample size",
    "acceptance": "share of moves accepted",
    "active_units": "active units",
    "mig": "MIG",
    "mig_sampled": "MIG, from draws",
    "irs": "IRS",
    "sap": "SAP",
    "sap_correlation": "SAP, by correlation",
    "dci": "DCI disentanglement",
    "dci_forest": "DCI disentanglement, by forests",
    "factor_vae": "FactorVAE score",
    "beta_vae": "beta-VAE score",
    "frechet_distance": "Fréchet distance",
    "kernel_distance": "kernel distance",
    "modes": "classes hit",
    "copying": "copies of training examples",
}


def of_figure(name: str) -> tuple[str, str]:
    """A figure of evaluation.json, without the name of its metric, in words, and its unit.

    >>> of_figure("log_likelihood_10"), of_figure("frechet_distance"), of_figure("pca_linear")
    (('log p(x), 10 samples', 'nats'), ('Fréchet distance', ''), ('pca linear', ''))
    """
    if count := on_curve(name):
        return f"log p(x), {samples(count)}", "nats"
    return (NATS[name], "nats") if name in NATS else (NAMES.get(name, name.replace("_", " ")), "")


def on_curve(name: str) -> int | None:
    """How many samples a point below the end of a curve of log p(x) is of; None for any other figure."""
    found = re.fullmatch(r"log_likelihood_(\d+)", name)
    return int(found[1]) if found else None


def samples(count: int) -> str:
    """So many samples, in words.

    >>> samples(1), samples(1000)
    ('1 sample', '1,000 samples')
    """
    return f"{count:,} sample{'' if count == 1 else 's'}"


def of_game(name: str) -> tuple[str, str]:
    """A term of a game in words, and its unit, which probabilities and norms do not have."""
    return GAME.get(name, name), "" if name in NO_NATS else "nats"
