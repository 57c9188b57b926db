"""How far the map is to be trusted: where the data lie, and what the decoder does to a small step."""

from __future__ import annotations

import numpy as np
import torch

from zatlas.errors import UsageError
from zatlas.explorer import forms
from zatlas.explorer.explored import TYPICAL, Explored
from zatlas.explorer.questions import Answer, question
from zatlas.latent.local import magnification as magnified
from zatlas.latent.local import singular_directions


@question(forms.Decode, slow=True)
def density(explored: Explored, asked: forms.Decode) -> Answer:
    """log q(z) of the aggregate posterior in nats, and what it is where the data lie."""
    z = explored.checked(asked.z)
    of, typical = explored.fitted()
    return {"typical": typical, "quantiles": TYPICAL}, {"log_density": of(z.astype(np.float64))}


@question(forms.Decode, slow=True)
def reencode(explored: Explored, asked: forms.Decode) -> Answer:
    """How far the code of what is decoded lies from the code, in units of the code."""
    run = explored.run
    if (sentence := explored.abilities.get("reencode")) is not None:
        raise UsageError(sentence)
    z = explored.checked(asked.z)
    y = explored.labels(asked.labels, len(z))
    x = torch.from_numpy(explored.decoded(z, y)).to(run.device)
    with torch.no_grad():
        model = run.need_inference("code of what is decoded")
        back = model.encode(x, None if y is None else torch.from_numpy(y).to(run.device)).mean
    return {}, {"error": np.linalg.norm(back.float().cpu().numpy() - z, axis=1)}


@question(forms.Decode, slow=True)
def magnification(explored: Explored, asked: forms.Decode) -> Answer:
    """How much the image changes at most for a small step of the code."""
    z = explored.checked(asked.z)
    y = explored.labels(asked.labels, len(z))
    return {}, {"magnification": magnified(explored.run.model, z, y, device=explored.run.device)}


@question(forms.At, slow=True)
def jacobian(explored: Explored, asked: forms.At) -> Answer:
    """What changes most here: singular values and directions of the decoder's Jacobian."""
    z = explored.checked([asked.z])
    y = explored.labels(None if asked.label is None else [asked.label], 1)
    values, directions = singular_directions(explored.run.model, z[0], y, device=explored.run.device)
    return {}, {"values": values, "directions": directions}
