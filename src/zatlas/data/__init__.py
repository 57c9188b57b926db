"""Data: names and paths become sources, sources are split, splits are shown in batches."""

from zatlas.data.array import ArraySource
from zatlas.data.batches import Batches, gathered
from zatlas.data.catalog import catalog
from zatlas.data.cutting import Cut
from zatlas.data.describe import describe, remarks
from zatlas.data.fetch import fetch
from zatlas.data.opening import located, open_source
from zatlas.data.source import Rows, Source, Splits, evenly_spaced
from zatlas.data.splits import split

__all__ = [
    "ArraySource",
    "Batches",
    "Cut",
    "Rows",
    "Source",
    "Splits",
    "catalog",
    "describe",
    "evenly_spaced",
    "fetch",
    "gathered",
    "located",
    "open_source",
    "remarks",
    "split",
]
