"""What stands where a person leaves the choice to zatlas, until the data are known."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from zatlas.networks.declaring import Sized
from zatlas.parts import Settings, likelihood, network


class AnyWidth(Settings):
    """The width that a Gaussian will have, if it becomes one."""

    sigma: float = Field(1.0, gt=0, description="of a gaussian likelihood: standard deviation, in units of the data")


def undecided(*arguments: Any, **named: Any) -> Any:
    """Nothing is made of a choice that was not made: ``recipes.decided`` comes first."""
    raise AssertionError("an automatic choice reached the place where it is made")


AUTO = "the choice is made for the data"
for role in ("autoencoder", "adversarial", "ladder", "quantised"):
    network("auto", when=AUTO, role=role, settings=Sized, order=0)(undecided)
likelihood("auto", when=AUTO, settings=AnyWidth, order=0)(undecided)
