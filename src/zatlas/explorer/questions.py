"""What can be asked of a run, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from zatlas.arrays import Array
from zatlas.explorer import forms

if TYPE_CHECKING:
    from zatlas.explorer.explored import Explored

Answer = tuple[dict[str, Any], dict[str, Array | None]]  # facts, and arrays by name


class Question(NamedTuple):
    """How a question is answered.

    Attributes:
        form: of its values.
        answer: gives facts and arrays.
        slow: takes seconds, so that it goes to the thread beside the one that decodes.
    """

    form: type[forms.Form]
    answer: Callable[[Explored, Any], Answer]
    slow: bool = False


QUESTIONS: dict[str, Question] = {}


def question(form: type[forms.Form], *, slow: bool = False) -> Callable[[Any], Any]:
    """Names a function of a run and a form as the answer to the question of its name."""

    def named(answer: Any) -> Any:
        QUESTIONS[answer.__name__] = Question(form, answer, slow)
        return answer

    return named
