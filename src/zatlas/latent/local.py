"""What a decoder does to small steps of the code: the singular values and directions of its Jacobian."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zatlas.arrays import Array
from zatlas.types import Generates

AT_ONCE = 2**22  # values of images with their tangents in memory
STEP = 1e-2  # of the code, in central differences


def _tangents(model: Generates, z: Tensor, y: Tensor | None) -> Tensor:
    """The Jacobians of the means of p(x|z) at codes ``[N, D]``, ``[N, D, *data]``, by central differences.

    Forward-mode derivatives were tried first: not every operation of every network has them, and the reverse mode
    takes one pass for each pixel. A difference of 0.02 is off by under 1e-3 of the largest singular value.
    """
    n, dim = z.shape
    steps = STEP * torch.eye(dim, device=z.device)
    moved = torch.stack([z[:, None] + steps, z[:, None] - steps]).reshape(2 * n * dim, dim)
    labels = None if y is None else y.repeat_interleave(dim, 0).repeat(2, 1)
    px = model.generate(y=labels, z=moved.split(model.latent_dims, -1)).px
    ahead, behind = px.mean[0].float().reshape(2, n, dim, -1)
    return (ahead - behind) / (2 * STEP)


@torch.no_grad()
def singular_directions(model: Generates, z: Array, y: Array | None, *, device: torch.device) -> tuple[Array, Array]:
    r"""The singular values ``[K]`` of the decoder's Jacobian at a code ``[D]`` and its right directions ``[K, D]``.

    .. math:: \mu(z + t v_k) \approx \mu(z) + t \sigma_k u_k, \qquad K = \min(D, \text{pixels})

    so that the first direction is that of the code in which the image changes most. Each is so turned that its
    largest entry is positive.

    Args:
        model: generates.
        z: a code ``[D]``.
        y: its label ``[1, Y]``, for a conditional model.
        device: where the model is.
    """
    code = torch.as_tensor(z, dtype=torch.float32, device=device)[None]
    label = None if y is None else torch.as_tensor(y, dtype=torch.float32, device=device)
    jacobian = _tangents(model.eval(), code, label)[0].double().cpu().numpy()  # [D, pixels]
    directions, values, _ = np.linalg.svd(jacobian, full_matrices=False)
    turned = directions.T
    largest = np.take_along_axis(turned, np.abs(turned).argmax(1)[:, None], 1)
    return values, turned * np.where(largest < 0, -1.0, 1.0)


@torch.no_grad()
def magnification(model: Generates, z: Array, y: Array | None, *, device: torch.device) -> Array:
    """The largest singular value of the decoder's Jacobian at codes ``[N, D]``: ``[N]``.

    How far, at most, the image moves for a step of the code: where it is large the picture changes suddenly
    (Arvanitidis et al. 2018 call the volume of the same map the magnification factor).
    """
    model.eval()
    codes = torch.as_tensor(z, dtype=torch.float32, device=device)
    labels = None if y is None else torch.as_tensor(y, dtype=torch.float32, device=device)
    first = model.generate(y=None if labels is None else labels[:1], z=codes[:1].split(model.latent_dims, -1)).px
    size = max(1, AT_ONCE // (2 * codes.shape[1] * first.mean[0].numel()))
    found = []
    for start in range(0, len(codes), size):
        part = slice(start, start + size)
        jacobians = _tangents(model, codes[part], None if labels is None else labels[part])
        gram = torch.einsum("nax,nbx->nab", jacobians, jacobians)
        found.append(torch.linalg.eigvalsh(gram)[:, -1].clamp_min(0).sqrt().cpu())
    values: Array = torch.cat(found).numpy()
    return values
