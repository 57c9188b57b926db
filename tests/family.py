"""The parts of zatlas by sort and name, for tests that go over all of them."""

from zatlas.parts import SORTS


def _named(sort):
    return {part.name: part for part in SORTS[sort].parts() if part.name != "auto" and not part.is_foreign}


MODELS, OBJECTIVES, NETWORKS = _named("model"), _named("objective"), _named("network")
PRIORS, POSTERIORS, LIKELIHOODS = _named("prior"), _named("posterior"), _named("likelihood")
ADVERSARIAL = tuple(name for name, part in OBJECTIVES.items() if "game" in part.needs)
SIZED = tuple(name for name, part in NETWORKS.items() if "size" in part.keys)


def size(kind="vae", network="mlp"):
    """The smallest size, in the words of a configuration, where the network of the model has sizes."""
    return {"size": "xs"} if network in SIZED and MODELS[kind].networks else {}
