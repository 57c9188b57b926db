"""What goes together in a configuration, and the sentence that says so where it does not."""

from __future__ import annotations

from typing import Any

from zatlas.config.kinds import MODELS

# Which models a key of [model] belongs to, and which objectives a key of [objective]; the others belong to all.
FLAT = ("vae", "cvae")
ENCODED = ("ae", "vae", "cvae", "ladder", "vqvae")
MODEL_KEYS: dict[str, tuple[str, ...]] = {
    "likelihood": (*ENCODED, "ppca", "fa"),
    "sigma": ENCODED,
    "start_log_variance": FLAT,
    "prior": FLAT,
    "posterior": FLAT,
    "levels": ("ladder",),
    "codebook": ("vqvae",),
    "codebook_size": ("vqvae",),
    "code_dim": ("vqvae",),
}
OBJECTIVE_KEYS: dict[str, tuple[str, ...]] = {
    "beta": ("elbo", "tcvae", "dip"),
    "beta_warmup_steps": ("elbo",),
    "capacity_nats": ("elbo",),
    "capacity_steps": ("elbo",),
    "gamma": ("elbo",),
    "free_bits_nats": ("elbo",),
    "sticking_the_landing": ("elbo",),
    "samples": ("iwae",),
    "groups": ("iwae",),
    "doubly_reparameterised": ("iwae",),
    "estimator": ("tcvae",),
    "factor_gamma": ("factor",),
    "dip_kind": ("dip",),
    "dip_off": ("dip",),
    "dip_on": ("dip",),
    "mmd_alpha": ("infovae",),
    "mmd_weight": ("infovae",),
    "target_nats": ("constrained",),
    "constrain": ("constrained",),
    "commitment": ("vq",),
    "penalty": ("relativistic", "wasserstein"),
    "penalty_every": ("relativistic", "wasserstein"),
    "penalty_final": ("relativistic",),
    "penalty_steps": ("relativistic",),
    "critic_steps": ("wasserstein",),
    "spectral_norm": ("gan", "relativistic", "wasserstein"),
}
# Priors and posteriors whose rate has a closed form together.
CLOSED = {("normal", "diagonal"), ("normal", "full"), ("conditional", "diagonal"), ("conditional", "full")}
# Objectives made for a diagonal posterior and a prior that factorises over units.
BY_UNIT = ("tcvae",)


def _words(names: tuple[str, ...] | list[str]) -> str:
    return " or ".join(map(repr, names))


def check(config: Any) -> None:
    """Refuses what cannot be.

    Raises:
        ValueError: a combination that makes no sense; the sentence names what goes together.
    """
    m, o = config.model, config.objective
    kind = MODELS[m.kind]
    if o.kind not in kind.objectives:
        others = [name for name, other in MODELS.items() if o.kind in other.objectives]
        raise ValueError(
            f"objective.kind = '{o.kind}' does not go with model.kind = '{m.kind}', which takes "
            f"{_words(kind.objectives)}; {o.kind} goes with {_words(others)}"
        )
    if kind.networks and m.network not in (*kind.networks, "auto"):
        raise ValueError(f"model.kind = '{m.kind}' is built of network {_words(kind.networks)}, not of '{m.network}'")
    _belongs("model", m, m.kind, MODEL_KEYS)
    _belongs("objective", o, o.kind, OBJECTIVE_KEYS)
    if m.network == "table" and m.kind not in FLAT:
        raise ValueError(f"model.network = 'table' goes with model.kind = {_words(FLAT)}, not with '{m.kind}'")
    _graphs(m)
    _densities(config)
    _objective(config)


def _belongs(section: str, values: Any, kind: str, table: dict[str, tuple[str, ...]]) -> None:
    for key in values.model_fields_set:
        kinds = table.get(key)
        if kinds and kind not in kinds and getattr(values, key) != type(values).model_fields[key].default:
            raise ValueError(f"{section}.{key} belongs to {section}.kind = {_words(kinds)}, not to {kind!r}")


def _graphs(m: Any) -> None:
    """The network that is written down in the configuration."""
    graphs = (m.encoder_graph, m.decoder_graph)
    if m.network != "exported":
        if graphs != (None, None):
            raise ValueError("model.encoder_graph and model.decoder_graph belong to model.network = 'exported'")
        return
    if m.kind not in ("ae", "vae"):
        raise ValueError(f"model.network = 'exported' goes with model.kind = 'ae' or 'vae', not with '{m.kind}'")
    if None in graphs:
        raise ValueError(
            "model.network = 'exported' is what zatlas.importers.from_modules makes of modules: bring some in with it, "
            "or choose another network"
        )


def _densities(config: Any) -> None:
    """Priors and posteriors."""
    m, o = config.model, config.objective
    if m.prior == "conditional" and m.kind != "cvae":
        raise ValueError("model.prior = 'conditional' goes with model.kind = 'cvae' only")
    if m.prior == "vamp" and (m.kind == "cvae" or m.posterior != "diagonal"):
        raise ValueError(
            "model.prior = 'vamp' goes with model.kind = 'vae' and model.posterior = 'diagonal' only: it is a mixture "
            "of posteriors of pseudo-inputs, which have no labels"
        )
    for key in m.model_fields_set & {"flow_layers", "flow_depth", "flow_width"}:
        if "flow" not in (m.prior, m.posterior) and getattr(m, key) != type(m).model_fields[key].default:
            raise ValueError(f"model.{key} belongs to model.prior = 'flow' or model.posterior = 'flow'")
    default = type(m).model_fields["prior_components"].default
    if m.prior not in ("mixture", "vamp") and m.prior_components != default:
        raise ValueError("model.prior_components belongs to model.prior = 'mixture' or 'vamp'")
    if o.kind == "infovae" and m.prior not in ("normal", "conditional"):
        raise ValueError(
            f"objective.kind = 'infovae' moves the codes towards the prior and would never move a learned one: choose "
            f"model.prior = 'normal' or 'conditional', not '{m.prior}'"
        )
    closed = (m.prior, m.posterior) in CLOSED
    if o.rate == "closed" and (o.kind not in ("elbo", "constrained", "dip", "infovae") or not closed):
        raise ValueError(
            f"objective.rate = 'closed' has no formula for a {m.posterior} posterior, a {m.prior} prior and objective "
            f"{o.kind}: closed forms are those of a diagonal or full posterior with a normal or conditional prior, for "
            "elbo, constrained, dip and infovae; leave objective.rate at 'auto'"
        )
    by_unit = o.kind in BY_UNIT or (o.kind == "elbo" and o.free_bits_nats)
    if by_unit and ((m.prior, m.posterior) not in CLOSED or m.posterior != "diagonal"):
        what = "free bits count" if o.kind == "elbo" else f"objective {o.kind} counts"
        raise ValueError(
            f"{what} each unit by itself and wants model.posterior = 'diagonal' with model.prior = 'normal' or "
            f"'conditional', not '{m.posterior}' with '{m.prior}'"
        )
    if o.kind == "dip" and o.dip_kind == "ii" and m.posterior != "diagonal":
        raise ValueError(
            "objective.dip_kind = 'ii' adds the posteriors' variances unit by unit and wants model.posterior = "
            f"'diagonal', not '{m.posterior}': choose that, or objective.dip_kind = 'i'"
        )
    if m.posterior == "flow" and (o.doubly_reparameterised or o.sticking_the_landing):
        raise ValueError(
            "the doubly reparameterised gradient and sticking the landing want the posterior's parameters held still: "
            "choose model.posterior = 'diagonal' or 'full', not 'flow'"
        )
    if m.kind == "ladder" and (o.doubly_reparameterised or o.sticking_the_landing):
        raise ValueError(
            "the doubly reparameterised gradient and sticking the landing are there for one layer of z: choose "
            "model.kind = 'vae' or 'cvae', or leave them out"
        )


def _objective(config: Any) -> None:
    m, o, t = config.model, config.objective, config.training
    if not MODELS[m.kind].infers and (t.patience is not None or t.target_loss is not None):
        raise ValueError(
            "training.patience and training.target_loss watch a loss that falls, and that of a game says nothing of "
            "its samples: give epochs, steps or seconds"
        )
    if MODELS[m.kind].point and o.capacity_nats is not None:
        raise ValueError("objective.capacity_nats needs a rate, and an ae has none: choose vae or cvae")
    if MODELS[m.kind].point and (o.beta != 1 or o.beta_warmup_steps):
        raise ValueError("objective.beta weighs the rate, and an ae has none: leave it out, or choose vae or cvae")
    if MODELS[m.kind].point and (o.free_bits_nats or o.sticking_the_landing):
        raise ValueError(
            "objective.free_bits_nats and objective.sticking_the_landing are about the rate, and an ae has none: leave "
            "them out, or choose vae or cvae"
        )
    for key in ("capacity_steps", "gamma"):
        if o.capacity_nats is None and getattr(o, key) != type(o).model_fields[key].default:
            raise ValueError(f"objective.{key} belongs to objective.capacity_nats: give that too, or leave it out")
    if (o.penalty_final is None) != (o.penalty_steps == 0):
        raise ValueError(
            "objective.penalty_final and objective.penalty_steps go together: what the penalty falls to, and over how "
            "many steps"
        )
    if o.kind == "infovae" and o.mmd_alpha + o.mmd_weight < 1:
        raise ValueError(
            "objective.mmd_alpha + objective.mmd_weight - 1 weighs the discrepancy, and below zero it would be sought: "
            "give objective.mmd_weight of 1 or more"
        )
    if o.kind == "constrained" and o.target_nats is None:
        raise ValueError("objective.kind = 'constrained' wants objective.target_nats, the distortion to reach")
    if o.free_bits_nats and o.sticking_the_landing:
        raise ValueError("objective.free_bits_nats and objective.sticking_the_landing exclude each other")
    if o.capacity_nats is not None and (o.free_bits_nats or o.sticking_the_landing or o.beta != 1):
        raise ValueError("objective.capacity_nats replaces beta, free bits and sticking the landing: leave them out")
