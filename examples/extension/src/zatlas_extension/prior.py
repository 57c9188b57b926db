"""A prior: independent Student t units, with tails that a Gaussian does not have."""

import torch
from pydantic import Field
from torch import nn
from torch.distributions import Independent, StudentT

from zatlas.parts import Context, Settings, prior


class StudentSettings(Settings):
    """What a person may set: ``[prior] freedom = 3``."""

    freedom: float = Field(5.0, gt=2, description="degrees of freedom at the start; they are learned")


@prior("student", when="codes with outliers: tails that cost less than a Gaussian's", settings=StudentSettings)
class StudentPrior(nn.Module):
    """p(z) over ``[D]``."""

    def __init__(self, latent_dim: int, freedom: float) -> None:
        super().__init__()
        self.excess = nn.Parameter(torch.tensor(freedom - 2.0).log())
        self.register_buffer("zeros", torch.zeros(latent_dim), persistent=False)

    @classmethod
    def of(cls, settings: StudentSettings, context: Context) -> "StudentPrior":
        return cls(context.latent_dim, settings.freedom)

    def forward(self, y=None):
        freedom = 2 + self.excess.exp()
        return Independent(StudentT(freedom, self.zeros, 1 + self.zeros, validate_args=False), 1, validate_args=False)
