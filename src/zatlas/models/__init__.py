"""Conditionals composed into models that infer and generate."""

from zatlas.models.flat import LatentVariableModel

__all__ = ["LatentVariableModel"]
