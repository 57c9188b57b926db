"""Objects of a person's own in the place of named parts: words for the configuration, and the objects beside them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from zatlas.errors import UsageError, nearest
from zatlas.networks.foreign import ForeignDecoder, ForeignEncoder, Head, Output, ends_in_sigmoid, takes_labels
from zatlas.networks.tracing import trace
from zatlas.parts import SORTS
from zatlas.trust import changed, kept_parts, origin, origin_of, place_of
from zatlas.types import DataSpec

SECTIONS = ("model", "network", "likelihood", "prior", "posterior", "objective")
# Layers that act differently in training, which a graph cannot tell.
TWO_FACED = (nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd, nn.RReLU)


@dataclass(frozen=True)
class Given:
    """The objects that were given in place of names.

    Attributes:
        words: for the configuration.
        parts: objects by section, which stand for what the configuration names.
        weights: tensors of the model by name, from which training starts.
        remarks: sentences for people.
        origin: where the weights came from, for run.json.
    """

    words: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)

    def begun_from(self, start: Given) -> Given:
        """This over what a training starts from: words said here replace its own.

        Raises:
            UsageError: a network or a model of another kind is asked for than the weights are of.
        """
        words = dict(start.words)
        for word, value in self.words.items():
            known = words.get(word)
            if value is None or value == known:
                continue
            if word in ("model", "network") and isinstance(known, Mapping):
                if value != known.get("kind"):
                    raise UsageError(
                        f"the weights to start from are of {word}.kind = {known.get('kind')!r}, and {value!r} is asked "
                        f"for: leave {word} out."
                    )
                continue
            words[word] = value
        weights, remarks = {**start.weights, **self.weights}, (*start.remarks, *self.remarks)
        return Given(words, {**start.parts, **self.parts}, weights, remarks, start.origin)


NOTHING = Given()


def adopted(words: Mapping[str, Any]) -> Given:
    """Words in which objects stand for parts: a class or function by its place, an instance as it is.

    Args:
        words: as :func:`zatlas.config.words.in_sections` takes them, with objects among their values.

    Raises:
        UsageError: an object that is no part.

    >>> from zatlas.objectives import Importance
    >>> adopted({"objective": Importance(samples=3)}).words["objective"]["samples"]
    3
    """
    said, parts = dict(words), {}
    for section in SECTIONS:
        value = words.get(section)
        if value is None or isinstance(value, str | Mapping):
            continue
        role = "autoencoder" if section == "network" else ""
        if isinstance(value, type) or not isinstance(value, nn.Module):
            if not callable(value):
                raise UsageError(f"{section} cannot be {value!r:.80}: give a name, a class, a function or an object.")
            said[section] = {"kind": SORTS[section].adopt(value, role).name}
            continue
        part = SORTS[section].adopt(type(value), role)
        made_with = getattr(value, "made_with", {})
        known = {key: made_with[key] for key in part.keys if key in made_with}
        said[section] = {"kind": part.name, **known}
        parts[section] = value
    return Given(said, parts)


def adopt_modules(
    given: Given,
    encoder: nn.Module,
    decoder: nn.Module,
    spec: DataSpec,
    *,
    head: Head | None = None,
    output: Output | None = None,
) -> Given:
    """A pair of modules as the network.

    Where it can be, the pair is written down as a graph of core operators (:mod:`zatlas.networks.exported`), so that
    the run holds no code; layers that act differently in training (dropout, batch normalisation), places for y, and
    what cannot be traced keep the modules themselves, of which the run then keeps names and weights.

    Args:
        given: the other words; ``latent_dim`` and ``model`` are found out where they are not among them.
        encoder: x ``[B, *data]`` to mean and log-variance of each unit, or to a point (an autoencoder).
        decoder: z ``[B, D]`` to the parameters of p(x|z): logits, or means after a sigmoid.
        spec: of the data.
        head: see :class:`zatlas.networks.foreign.ForeignEncoder`; None: by what the encoder gives.
        output: None: ``"mean"`` where the decoder ends in a sigmoid.

    Raises:
        UsageError: a module that fails on such examples, or sizes that do not fit.
    """
    for what, module in (("encoder", encoder), ("decoder", decoder)):
        if not isinstance(module, nn.Module):
            raise UsageError(f"{what} wants a torch.nn.Module, not {type(module).__name__}.")
    words = dict(given.words)
    kind, units, head = _sizes(words, encoder, decoder, spec, head)
    output = output or ("mean" if spec.values != "real" and ends_in_sigmoid(decoder) else "logits")
    words |= {"model": kind, "latent_dim": units}
    remark = () if output == "logits" else ("The decoder ends in a sigmoid: its logits are what the likelihood takes.",)
    outputs = units if head == "mean" else 2 * units
    if not _plain(encoder, decoder):
        names = {"encoder": place_of(type(encoder)), "decoder": place_of(type(decoder))}
        words["network"] = {"kind": "modules", **names, "head": head, "output": output}
        pair = (copy.deepcopy(encoder), copy.deepcopy(decoder))
        return Given(words, {**given.parts, "network": pair}, given.weights, (*given.remarks, *remark))
    inward = ForeignEncoder(encoder, len(spec.shape), head, outputs)
    outward = ForeignDecoder(decoder, spec.shape, output)
    try:
        encoder_graph, encoding = trace(inward, spec.shape, "encoder")
        decoder_graph, decoding = trace(outward, (units,), "decoder")
    except UsageError as error:
        names = {"encoder": place_of(type(encoder)), "decoder": place_of(type(decoder))}
        words["network"] = {"kind": "modules", **names, "head": head, "output": output}
        pair = (copy.deepcopy(encoder), copy.deepcopy(decoder))
        why = f"The modules are kept as Python classes, since {str(error).rstrip('.')}."
        return Given(words, {**given.parts, "network": pair}, given.weights, (*given.remarks, *remark, why))
    words["network"] = {
        "kind": "exported",
        "encoder_graph": tuple(encoder_graph),
        "decoder_graph": tuple(decoder_graph),
        "neutral": True,
    }
    weights = {f"encoder.net.{name}": tensor for name, tensor in encoding.items()}
    weights |= {f"decoder.net.{name}": tensor for name, tensor in decoding.items()}
    return Given(words, given.parts, weights, (*given.remarks, *remark))


def _plain(*modules: nn.Module) -> bool:
    """Whether modules say the same in training as they do afterwards, and take nothing but x or z."""
    layers = [layer for module in modules for layer in module.modules()]
    return not any(isinstance(layer, TWO_FACED) for layer in layers) and not any(map(takes_labels, modules))


def _sizes(
    words: Mapping[str, Any], encoder: nn.Module, decoder: nn.Module, spec: DataSpec, head: Head | None
) -> tuple[str, int, Head]:
    """The kind of model, D and the head, from what the modules say of three examples."""
    kind, asked = words.get("model"), words.get("latent_dim")
    x = torch.rand(3, *spec.shape)
    labels = torch.zeros(3, max(1, spec.label_dim))
    with torch.no_grad():
        out = _tried(encoder, x, labels, "encoder")
        if isinstance(out, tuple | list):
            return kind or "vae", int(asked or out[0].flatten(1).shape[1]), head or "tuple"
        count = int(out.flatten(1).shape[1])
        fits = [d for d in ((asked,) if asked else (count // 2, count)) if d in (count, count / 2)]
        for units in fits:
            try:
                decoded = _tried(decoder, torch.zeros(3, units), labels, "decoder")
            except UsageError:
                continue
            if decoded.numel() == 3 * spec.size or len(fits) == 1:
                point = head == "mean" or (head is None and units == count)
                return kind or ("ae" if point else "vae"), units, head or ("mean" if point else "mean-logvar")
    if asked:
        raise UsageError(
            f"the encoder gives {count} numbers an example, which is neither latent_dim = {asked} (an ae) nor twice "
            "that (mean and log-variance, a vae)."
        )
    raise UsageError(
        f"the decoder takes neither the {count // 2} nor the {count} numbers that the encoder's output leaves as a "
        "code: give latent_dim, or modules that fit together."
    )


def _tried(module: nn.Module, x: torch.Tensor, labels: torch.Tensor, what: str) -> Any:
    was = module.training
    try:
        given = (x.to(next(module.parameters(), x).device), labels) if takes_labels(module) else (x,)
        return module.eval()(*given)
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(f"the {what} fails on {list(x.shape)}: {first.rstrip('.')}.") from None
    finally:
        module.train(was)


def given_again(own: Mapping[str, Any]) -> Given:
    """Objects that a run does not hold, given when it is opened.

    Raises:
        UsageError: a word that names no part.
    """
    parts = {name: value for name, value in own.items() if value is not None}
    encoder, decoder = parts.pop("encoder", None), parts.pop("decoder", None)
    for name in parts:
        if name not in SECTIONS:
            raise UsageError(f"there is no {name}; {nearest(name, ['encoder', 'decoder', *SECTIONS])}")
    if (encoder is None) != (decoder is None):
        raise UsageError("encoder and decoder go together: give both.")
    pair = {} if encoder is None else {"network": (copy.deepcopy(encoder), copy.deepcopy(decoder))}
    return Given(parts={name: copy.deepcopy(value) for name, value in parts.items()} | pair)


def foreign_record(config: Any, given: Given) -> dict[str, Any]:
    """What run.json keeps of parts that do not come with zatlas: module, version, hash of source."""
    found = [config.part(section) for section in SECTIONS if getattr(config, section) is not None]
    data = str(config.data.source or "")
    found += [part for name in {data, data.partition(":")[0]} if (part := SORTS["format"].find(name))]
    kept = [origin(part) for part in found if part.is_foreign]
    if pair := given.parts.get("network"):
        kept += [origin_of("network", type(module)) for module in pair]
    return {"parts": kept} if kept else {}


def changes(record: Mapping[str, Any]) -> list[str]:
    """Sentences about foreign code that is no longer what a run was made with, of modules that are imported."""
    return [sentence for one in kept_parts(record) if (sentence := changed(one))]
