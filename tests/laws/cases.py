"""Every kind of model in a tiny size, in the words of a configuration: a new kind is one line here."""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
import torch

from tests import family
from zatlas import recipes
from zatlas.config import make_config
from zatlas.data import ArraySource, Batches
from zatlas.training import Budget, Optimisation, Schedule, Trainer

CPU = torch.device("cpu")
ROWS, LABELS = 48, 2


@cache
def source(name):
    """48 examples of two classes: correlated ``columns`` of real numbers, ``bits``, or images named by their shape."""
    rng = np.random.default_rng(0)
    y = np.arange(ROWS) % LABELS
    if name == "columns":
        hidden = rng.normal(size=(ROWS, 2)) + 2.0 * y[:, None]
        x = hidden @ rng.normal(size=(2, 5)) + 0.3 * rng.normal(size=(ROWS, 5))
        return ArraySource(name, x.astype(np.float32), y)
    if name == "bits":
        x = rng.random((ROWS, 1)) < 0.5 + 0.2 * y[:, None]
        return ArraySource(name, np.where(rng.random((ROWS, 4)) < 0.1, ~x, x), y)
    channels, height, width = map(int, name.split("x"))
    centre = rng.uniform(0.3, 0.7, (ROWS, 2, 1)) + 0.1 * y[:, None, None]
    bumps = [
        np.exp(-(((np.linspace(0, 1, n) - c) / 0.2) ** 2)) for n, c in ((height, centre[:, 0]), (width, centre[:, 1]))
    ]
    grey = 255 * bumps[0][:, :, None] * bumps[1][:, None, :]
    return ArraySource(name, np.repeat(grey[:, None], channels, 1).astype(np.uint8), y)


SMALL_FLOW = {"flow_layers": 3, "flow_width": 8, "flow_depth": 1}
SMALL_BOOK = {"codebook_size": 6, "code_dim": 2, "latent_dim": 3}


def case(data, kind, objective=None, **model):
    """The data's name and the configuration's values; ``objective`` is that section."""
    values = {"model": {"kind": kind, **family.size(kind, model.get("network", "mlp")), **model}}
    return data, values | ({"objective": objective} if objective else {})


def flat(kind, prior, posterior, data="bits"):
    small = SMALL_FLOW if "flow" in (prior, posterior) else {}
    if prior in ("mixture", "vamp"):
        small = {**small, "prior_components": 5}
    return case(data, kind, prior=prior, posterior=posterior, latent_dim=2, start_log_variance=-2.0, **small)


# One layer of two units: every prior with every posterior.
FLAT = {
    f"{kind}-{prior}-{posterior}": flat(kind, prior, posterior)
    for kind, priors in (
        ("vae", ("normal", "mixture", "vamp", "flow")),
        ("cvae", ("normal", "mixture", "flow", "conditional")),
    )
    for prior in priors
    for posterior in ("diagonal", "full", "flow")
    if prior != "vamp" or posterior == "diagonal"
}
LINEAR = {kind: case("columns", kind, latent_dim=2) for kind in ("ppca", "fa")}
LADDERS = {
    "ladder-mlp": case("columns", "ladder", latent_dim=2, levels=2),
    "ladder-bits": case("bits", "ladder", latent_dim=2, levels=2),
    "ladder-resnet": case("1x8x8", "ladder", network="resnet", latent_dim=2, levels=2),
}
QUANTISED = {
    "vqvae-mlp": case("columns", "vqvae", **SMALL_BOOK),
    "vqvae-conv": case("1x8x8", "vqvae", network="conv", **SMALL_BOOK),
    "vqvae-vq-model": (
        "1x8x8",
        {
            "model": {"kind": "vqvae", "codebook_size": 6, "code_dim": 2},
            "network": {"kind": "vq-model", "size": "xs", "block_out_channels": [4, 8], "norm_num_groups": 2},
        },
    ),
    "vqvae-gradient": case("bits", "vqvae", codebook="gradient", **SMALL_BOOK),
}
GENERATORS = {
    f"{kind}-{network}": case("columns" if "mlp" in network else "1x8x8", kind, network=network, latent_dim=4)
    for kind in ("gan", "cgan")
    for network in ("mlp", "conv", "resnet", "course-mlp")
}
LIKELIHOODS = {
    f"vae-{name}": case("1x8x8", "vae", likelihood=name, latent_dim=3)
    for name in (
        *("bernoulli", "continuous-bernoulli", "gaussian", "gaussian-learned", "gaussian-per-pixel"),
        *("logistic", "logistic-mixture", "categorical"),
    )
} | {"vae-colour-mixture": case("3x8x8", "vae", likelihood="colour-mixture", latent_dim=3)}
NETWORKS = {
    f"{kind}-{network}": case(data, kind, network=network, latent_dim=3)
    for kind in ("ae", "vae", "cvae")
    for network, data in (("mlp", "columns"), ("course-mlp", "columns"), ("conv", "1x8x8"), ("resnet", "1x8x8"))
} | {f"{kind}-table": case("columns", kind, network="table", latent_dim=3) for kind in ("vae", "cvae")}
MAPS = {
    f"{kind}-spatial": (
        "1x8x8",
        {"model": {"kind": kind}, "network": {"kind": "spatial", "size": "xs", "code_channels": 2, "factor": 4}},
    )
    for kind in ("ae", "vae", "cvae")
} | {
    f"{kind}-autoencoder-kl": (
        "1x8x8",
        {
            "model": {"kind": kind},
            "network": {"kind": "autoencoder-kl", "block_out_channels": [4, 8, 8], "norm_num_groups": 2},
        },
    )
    for kind in ("ae", "vae")
}
NAMED = {
    f"vae-{network}": case(data, "vae", network=network, latent_dim=3)
    for network, data in (
        *(
            ("burda", "columns"),
            ("course-conv", "1x28x28"),
            ("burgess", "1x32x32"),
            ("konny-b", "1x64x64"),
            ("konny-h", "3x64x64"),
        ),
    )
}
# A linear encoder of five columns to three units, and a decoder back, as from_modules would write them.
EXPORTED = {
    f"{kind}-exported": case(
        "columns",
        kind,
        network="exported",
        latent_dim=3,
        **{
            f"{part}_graph": [
                '["x", "input"]',
                f'["fc/weight", "parameter", [{n}, {out}]]',
                f'["fc/bias", "parameter", [{out}]]',
                '["addmm", "aten.addmm.default", ["$fc/bias", "$x", "$fc/weight"], {}]',
                '["addmm", "output"]',
            ]
            for part, n, out in (("encoder", 5, 6 if kind == "vae" else 3), ("decoder", 3, 5))
        },
    )
    for kind in ("ae", "vae")
}
SMALL = FLAT | LINEAR | LADDERS | QUANTISED | GENERATORS | LIKELIHOODS | NETWORKS | MAPS | EXPORTED
MODELS = SMALL | NAMED

# Left out of the quick loop: each takes several times as long as one that is like it.
LARGE = {
    *("ladder-resnet", "vqvae-vq-model", "ae-autoencoder-kl", "vae-autoencoder-kl", "gan-resnet", "cgan-resnet"),
    *(f"{kind}-{prior}-flow" for kind in ("vae", "cvae") for prior in ("mixture", "flow", "conditional")),
    *("cvae-normal-flow", "vae-categorical"),
}

# Every objective, with each of its variants.
OBJECTIVES = {
    "elbo": {"kind": "elbo", "beta": 2.0, "beta_warmup_steps": 4},
    "elbo-free-bits": {"kind": "elbo", "free_bits_nats": 0.3},
    "elbo-landing": {"kind": "elbo", "sticking_the_landing": True},
    "elbo-capacity": {"kind": "elbo", "capacity_nats": 2.0, "capacity_steps": 5},
    "iwae": {"kind": "iwae", "samples": 3},
    "iwae-groups": {"kind": "iwae", "samples": 2, "groups": 2},
    "iwae-dreg": {"kind": "iwae", "samples": 3, "doubly_reparameterised": True},
    "tcvae": {"kind": "tcvae", "beta": 3.0},
    "tcvae-weighted": {"kind": "tcvae", "estimator": "weighted"},
    "factor": {"kind": "factor"},
    "dip-i": {"kind": "dip", "dip_kind": "i"},
    "dip-ii": {"kind": "dip"},
    "infovae": {"kind": "infovae"},
    "constrained": {"kind": "constrained", "target_nats": 3.0},
    "constrained-rate": {"kind": "constrained", "target_nats": 1.0, "constrain": "rate"},
    "sharp": {"kind": "sharp", "critic_from": 2, "critic_width": 4, "features_layout": ["1>4 3/2", "pool 4>8 3/1"]},
    "sharp-alone": {"kind": "sharp", "perceptual": 0.0, "adversarial": 0.0},
    "vq": {"kind": "vq"},
    "gan": {"kind": "gan"},
    "gan-spectral": {"kind": "gan", "spectral_norm": True},
    "relativistic": {"kind": "relativistic"},
    "wasserstein": {"kind": "wasserstein", "critic_steps": 2},
    "exact": {"kind": "exact"},
}


def plays(name):
    """A model that goes with an objective, the objective."""
    objective = OBJECTIVES[name]
    match objective["kind"]:
        case "vq":
            return case_of("vqvae-gradient", objective)
        case "sharp":
            return case_of("vae-spatial", objective)
        case "exact":
            return case_of("fa", objective)
        case "gan" | "relativistic" | "wasserstein":
            return case_of("cgan-mlp", objective)
        case _:
            return case_of("cvae-mlp", objective)


def case_of(name, objective):
    data, values = MODELS[name]
    return data, {**values, "objective": objective}


GAMES = {name: plays(name) for name in OBJECTIVES}


def config(made):
    return make_config(("law", made[1]))


def built(made, seed=0):
    """The game of a case, its weights drawn from ``seed``."""
    torch.manual_seed(seed)
    words, data = config(made), source(made[0])
    stats = recipes.statistics(data, np.arange(ROWS), examples=recipes.wanted_examples(words))
    return recipes.build_game(words, data.spec, ROWS, stats)


def stirred(game, size=0.3, seed=1):
    """The game with every weight moved from its start, where flows are the identity and priors untrained."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for p in game.parameters():
            p.add_(size * torch.randn_like(p) / (p.shape[-1] ** 0.5 if p.dim() > 1 else 1))
    return game


def batch(made, n=12):
    data = source(made[0])
    return next(iter(Batches(data, np.arange(ROWS), batch_size=n, seed=2).epoch(0)))


def trainer(game, made, *, steps, average=0.9, optimizer="adamw", **options):
    """Three batches an epoch."""
    batches = Batches(source(made[0]), np.arange(ROWS), batch_size=16, seed=3)
    rate = 3e-3 if optimizer == "adamw" else 3e-4
    options = {"schedule": Schedule("linear"), "clip_norm": 50.0, "average": average} | options
    optimisation = Optimisation(optimizer, rate, (0.9, 0.95), 0.1)
    return Trainer(game, batches, budget=Budget(steps=steps), optimisation=optimisation, device=CPU, **options)


def trained(made, steps, seed=0):
    """The game of a case after so many steps, or fitted where it is fitted."""
    game = built(made, seed)
    data = source(made[0])
    if made[1]["model"]["kind"] in LINEAR:
        x = data.read(np.arange(ROWS)).astype(np.float32)
        game.model.fit(x if data.spec.values == "real" else x / 255)
        return game.eval()
    torch.manual_seed(seed)
    trainer(game, made, steps=steps, average=0).fit()
    return game.eval()


def state(module):
    return copy.deepcopy(module.state_dict())


def labels(made, n):
    """y ``[n, Y]``, which models without condition do not look at."""
    return torch.eye(LABELS)[torch.arange(n) % LABELS]
