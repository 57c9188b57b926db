"""What a part is told when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # torch is not imported to read declarations
    from torch import nn

    from zatlas.parts import Part
    from zatlas.types import DataSpec


def part_of(sort: str, name: str, role: str = "") -> Part:
    """The part of that sort and name."""
    from zatlas.parts import SORTS  # which imports this module

    return SORTS[sort].get(name, role)


@dataclass(frozen=True)
class Context:
    """What a part may know of the data and of the parts beside it when it is made.

    Attributes:
        config: the configuration, its sections by name.
        spec: shape, values and labels of the data (:class:`zatlas.types.DataSpec`).
        stats: of the training data (:class:`zatlas.types.Statistics`).
        dataset_size: N, the number of training examples.
        label_dim: Y, 0 for a model without condition.
        given: objects that were given, by section.
        encoder: the model's, for a prior that is made of it.
    """

    config: Any
    spec: DataSpec
    stats: Any
    dataset_size: int = 0
    label_dim: int = 0
    given: Mapping[str, Any] = field(default_factory=dict)
    encoder: nn.Module | None = None

    @property
    def latent_dim(self) -> int:
        """D, as the model's settings have it."""
        return int(self.config.model.latent_dim)

    @property
    def code_shape(self) -> tuple[int, ...] | None:
        """(C, h, w) of a code that is a map, as the network says it; None where it is a row of D units."""
        shape = None if self.config.network is None else self.network.facts.get("code_shape")
        return shape(self.config.network, self.spec) if shape else None

    @cached_property
    def model(self) -> Part:
        """The declaration of the model."""
        return part_of("model", self.config.model.kind)

    @cached_property
    def network(self) -> Part:
        """The declaration of the network."""
        return part_of("network", self.config.network.kind, self.model.facts["network"])

    def make(self, section: str, *arguments: Any, **named: Any) -> Any:
        """The part of a section, made with its settings, this context and what else its sort is made with."""
        settings = getattr(self.config, section)
        if section in self.given and section != "network":
            return self.given[section]
        role = self.model.facts["network"] if section == "network" else ""
        return part_of(section, settings.kind, role).make(settings, self, *arguments, **named)
