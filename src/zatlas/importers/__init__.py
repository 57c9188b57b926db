"""Weights that others trained become runs: read from their files, put under the names that zatlas gives them.

An imported run is a run folder like any other, so all that reads runs reads it. Only tensors are ever loaded.
"""

from zatlas.importers.modules import from_modules
from zatlas.importers.weights import formats, import_weights, start

__all__ = ["formats", "from_modules", "import_weights", "start"]
