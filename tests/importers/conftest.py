"""State_dicts as the programs write them that zatlas reads, with weights drawn at random."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn


def expected(folder, name):
    with np.load(folder / f"{name}.npz") as arrays:
        return {key: arrays[key] for key in arrays.files}


class Disvae(nn.Module):
    """Layers of the Burgess architecture under the names of disentangling-vae."""

    def __init__(self, channels, size, latent_dim):
        super().__init__()
        big = size == 64
        conv = lambda before, after: nn.Conv2d(before, after, 4, 2, 1)
        back = lambda before, after: nn.ConvTranspose2d(before, after, 4, 2, 1)
        self.encoder, self.decoder = nn.Module(), nn.Module()
        e, d = self.encoder, self.decoder
        e.conv1, e.conv2, e.conv3 = conv(channels, 32), conv(32, 32), conv(32, 32)
        if big:
            e.conv_64, d.convT_64 = conv(32, 32), back(32, 32)
        e.lin1, e.lin2, e.mu_logvar_gen = nn.Linear(512, 256), nn.Linear(256, 256), nn.Linear(256, 2 * latent_dim)
        d.lin1, d.lin2, d.lin3 = nn.Linear(latent_dim, 256), nn.Linear(256, 256), nn.Linear(256, 512)
        d.convT1, d.convT2, d.convT3 = back(32, 32), back(32, 32), back(32, channels)

    def encode(self, x):
        e = self.encoder
        for layer in (e.conv1, e.conv2, e.conv3, *([e.conv_64] if hasattr(e, "conv_64") else [])):
            x = layer(x).relu()
        out = e.mu_logvar_gen(e.lin2(e.lin1(x.flatten(1)).relu()).relu())
        return out.view(len(x), -1, 2).unbind(-1)

    def decode(self, z):
        d = self.decoder
        for layer in (d.lin1, d.lin2, d.lin3):
            z = layer(z).relu()
        x = z.view(-1, 32, 4, 4)
        for layer in (*([d.convT_64] if hasattr(d, "convT_64") else []), d.convT1, d.convT2):
            x = layer(x).relu()
        return d.convT3(x).sigmoid()


class Konny(nn.Module):
    """Layers of 1Konny/Beta-VAE, numbered as its two sequences are."""

    def __init__(self, which, channels, latent_dim):
        super().__init__()
        conv = lambda before, after: [nn.Conv2d(before, after, 4, 2, 1), nn.ReLU()]
        back = lambda before, after: [nn.ConvTranspose2d(before, after, 4, 2, 1), nn.ReLU()]
        if which == "h":
            before = [
                *conv(channels, 32),
                *conv(32, 32),
                *conv(32, 64),
                *conv(64, 64),
                nn.Conv2d(64, 256, 4),
                nn.ReLU(),
            ]
            before += [nn.Flatten(), nn.Linear(256, 2 * latent_dim)]
            after = [nn.Linear(latent_dim, 256), nn.Unflatten(1, (256, 1, 1)), nn.ReLU()]
            after += [nn.ConvTranspose2d(256, 64, 4), nn.ReLU(), *back(64, 64), *back(64, 32), *back(32, 32)]
        else:
            before = [*conv(channels, 32), *conv(32, 32), *conv(32, 32), *conv(32, 32), nn.Flatten()]
            before += [nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2 * latent_dim)]
            after = [nn.Linear(latent_dim, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 512)]
            after += [nn.ReLU(), nn.Unflatten(1, (32, 4, 4)), *back(32, 32), *back(32, 32), *back(32, 32)]
        self.encoder = nn.Sequential(*before)
        self.decoder = nn.Sequential(*after, back(32, channels)[0])

    def encode(self, x):
        return self.encoder(x).chunk(2, 1)

    def decode(self, z):
        return self.decoder(z).sigmoid()

    def checkpoint(self):
        optimizer = torch.optim.Adam(self.parameters())
        sum(p.sum() for p in self.parameters()).backward()
        optimizer.step()
        net = OrderedDict((name, value.detach().clone()) for name, value in self.state_dict().items())
        optim = {"optim": optimizer.state_dict()}
        return {"iter": 7, "win_states": {"recon": None}, "model_states": {"net": net}, "optim_states": optim}


@pytest.fixture
def disvae(tmp_path):
    """A file of disentangling-vae for grey 32x32 images and four units, and its tensors."""
    torch.manual_seed(0)
    tensors = Disvae(1, 32, 4).state_dict()
    torch.save(tensors, tmp_path / "model.pt")
    return tmp_path / "model.pt", tensors
