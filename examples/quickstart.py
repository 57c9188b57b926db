"""Fit a VAE to the digits, walk its latent space, keep it. The README's fifteen lines, as a script with cells."""

# %% Fit
from sklearn.datasets import load_digits

import zatlas

X, y = load_digits(return_X_y=True)
X = (X * 255 / 16).round().astype("uint8").reshape(-1, 8, 8)
vae = zatlas.VAE(latent_dim=2, beta=1.0, random_state=0).fit(X)

# %% Encode, decode, draw
codes = vae.transform(X)  # posterior means [1797, 2]
back = vae.inverse_transform(codes)  # decoded means, in X's shape and units
new = vae.sample(64)  # means of p(x|z) at codes from the prior

# %% How good is it? A lower bound on log p(x), nats per image
print(f"{vae.score(X):.2f} nats, {codes.shape[1]} units, {new.shape} new images")

# %% Look
from zatlas.figures import save, scatter  # noqa: E402

save(scatter(codes, y), "codes.png")

# %% Keep
vae.save("runs/mine")
again = zatlas.load("runs/mine")
assert (again.transform(X) == codes).all()
