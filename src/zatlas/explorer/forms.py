"""What may be asked, and of what form: a question outside these forms is refused before any work is done."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zatlas.errors import UsageError, one_line

MOST_CODES = 4096  # in one question
MOST_POINTS = 200_000  # of the map
MOST_ROWS = 200_000  # in a group
FAR = 1e6  # beyond which no code lies

Real = Annotated[float, Field(ge=-FAR, le=FAR, allow_inf_nan=False)]
Code = Annotated[list[Real], Field(min_length=1, max_length=4096)]
Codes = Annotated[list[Code], Field(min_length=1, max_length=MOST_CODES)]
Row = Annotated[int, Field(ge=0, lt=2**31, strict=True)]
Class = Annotated[int, Field(ge=0, lt=2**31, strict=True)]
Labels = Annotated[list[Class], Field(min_length=1, max_length=MOST_CODES)]
Image = Annotated[list[Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]], Field(max_length=3 * 1024**2)]
PathName = Literal["linear", "spherical", "density"]


class Form(BaseModel):
    """A question's words; others than these are refused."""

    model_config = ConfigDict(extra="forbid")


class Nothing(Form):
    pass


class Some(Form):
    n: int = Field(20_000, ge=1, le=MOST_POINTS, strict=True)


class Decode(Form):
    z: Codes
    labels: Labels | None = None  # one for all codes, or one each


class Encode(Form):
    image: Image
    label: Class | None = None


class Score(Form):
    """Codes of which it is asked how well each explains one image."""

    image: Image
    z: Codes
    label: Class | None = None


class Rows(Form):
    rows: Annotated[list[Row], Field(min_length=1, max_length=256)]


class Interpolate(Form):
    codes: Annotated[list[Code], Field(min_length=2, max_length=32)]
    path: PathName = "linear"
    n: int = Field(9, ge=2, le=64, strict=True)
    labels: Labels | None = None


class At(Form):
    z: Code
    label: Class | None = None


class Direct(Form):
    with_: Annotated[list[Row], Field(alias="with", min_length=2, max_length=MOST_ROWS)]
    without: Annotated[list[Row], Field(min_length=2, max_length=MOST_ROWS)]
    method: Literal["centroid", "logistic", "cca"] = "logistic"
    name: Annotated[str, Field(min_length=1, max_length=100)] = "direction"
    save: bool = False


class Since(Form):
    since: int = Field(-1, ge=-1, lt=2**53, strict=True)


class Draw(Form):
    n: int = Field(1, ge=1, le=MOST_CODES, strict=True)
    seed: int = Field(0, ge=0, lt=2**31, strict=True)
    label: Class | None = None


def filled(form: type[Form], values: Any) -> Any:
    """A form filled with what was sent.

    Raises:
        UsageError: the first thing about it that is wrong.
    """
    if not isinstance(values, dict):
        raise UsageError("a question is a JSON object of named values.")
    try:
        return form.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"][:4])) or "the question"
        raise UsageError(one_line(f"{where[:200]}: {first['msg'][:1].lower()}{first['msg'][1:]}.")) from None
