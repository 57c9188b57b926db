"""How a declared class or function is called, the settings that its signature has, and what it was made with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import create_model

from zatlas.parts.settings import Settings

if TYPE_CHECKING:
    from zatlas.parts.context import Context

NOTHING: Mapping[str, Any] = MappingProxyType({})


def maker(target: Any) -> Callable[..., Any]:
    """What makes a part of a class or function, called with its settings first."""
    if not isinstance(target, type):
        return target
    if made := getattr(target, "of", None):
        return made
    knows = "context" in inspect.signature(target).parameters

    def make(settings: Settings, context: Context | None = None, *more: Any) -> Any:
        own = {key: getattr(settings, key) for key in type(settings).model_fields if key != "kind"}
        return target(*more, **own, **({"context": context} if knows else {}))

    return make


def read_settings(target: Any, base: type[Settings]) -> type[Settings]:
    """Settings from the keywords of a constructor, or of a function after those that it is called with."""
    try:
        named = list(inspect.signature(target).parameters.values())
        hints = inspect.get_annotations(vars(target).get("__init__", target), eval_str=True)
    except (TypeError, ValueError, NameError):
        return base
    keyword = isinstance(target, type) and not hasattr(target, "of")
    named = [one for one in named if one.name not in ("self", "context", "settings")]
    fields: dict[str, Any] = {}
    for one in named:
        if one.kind is one.KEYWORD_ONLY or (keyword and one.kind is one.POSITIONAL_OR_KEYWORD):
            hint = hints.get(one.name, Any)
            if one.default is one.empty and not keyword:
                continue
            fields[one.name] = (hint, ... if one.default is one.empty else one.default)
    if not fields:
        return base
    try:
        return create_model("Settings", __base__=base, **fields)
    except Exception:  # an annotation that is no type of plain data
        return base


class Remembers:
    """A base class that keeps the arguments its objects are made with, in ``made_with``, so that a run can make them
    again."""

    made_with: Mapping[str, Any] = NOTHING

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        made = vars(cls).get("__init__")
        if made is None:
            return

        @wraps(made)
        def __init__(self: Any, *given: Any, **words: Any) -> None:
            if "made_with" not in vars(self):
                bound = inspect.signature(made).bind(self, *given, **words)
                bound.apply_defaults()
                object.__setattr__(self, "made_with", {k: v for k, v in bound.arguments.items() if k != "self"})
            made(self, *given, **words)

        cls.__init__ = __init__  # type: ignore[method-assign]
