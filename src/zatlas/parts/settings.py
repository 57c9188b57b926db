"""Records of settings: a section of the configuration for each part, with that part's own keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from zatlas.parts.context import Context


class Section(BaseModel):
    """A validated record of the configuration: an unknown key, NaN and infinity are refused."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, protected_namespaces=(), allow_inf_nan=False)


class Settings(Section):
    """The settings of a part. ``kind`` is the part's name; each part adds its own keys."""

    kind: str = ""

    def resolve(self, context: Context) -> None:
        """Writes out each value that is decided by the data and the parts beside it, so that the recorded
        configuration repeats the run even where that decision changes; there are none, unless a part says so."""


class ModelSettings(Settings):
    """The settings of a model."""

    latent_dim: int = Field(2, ge=1, le=10**6, description="number of latent units")
