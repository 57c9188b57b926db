# %% [markdown]
# # Told the label: the convolutional and the conditional VAE
#
# A VAE of two units on grey MNIST, with the course's network: two convolutions down to 7×7, two transposed ones back
# up. (At the quick setting a smaller network of zatlas takes its place, for the course's needs its ten epochs to fill
# the plane.) It minimises distortion and rate, in nats per image:
#
# $$-\log p(x) \le -\mathbb{E}_{q(z|x)} \log p(x|z) + D_{\mathrm{KL}}(q(z|x)\,\|\,p(z)) .$$
#
# The conditional VAE is given the label $y$ as well, in the encoder and in the decoder, and models the images *of* a
# label. Its bound is the same one with $y$ behind every bar. As a mean over codes that the encoder draws,
#
# $$\log p(x|y) = \log \mathbb{E}_{q(z|x,y)} \frac{p(x|z,y)\, p(z)}{q(z|x,y)}$$
#
# is, by Jensen's inequality, at least
#
# $$\mathbb{E}_{q(z|x,y)} \log p(x|z,y) - D_{\mathrm{KL}}(q(z|x,y)\,\|\,p(z)),$$
#
# and what is lost is $D_{\mathrm{KL}}(q(z|x,y)\,\|\,p(z|x,y))$. The prior $p(z)$ does not depend on $y$; that will
# explain a picture below.

# %%
import numpy as np
from setting import picture, setting, studied, table, trained

from zatlas import figures, walks
from zatlas.measure import Options, evaluate_run

BRIEF = {"steps": 500, "validations": 2}
QUICK = {"network": "conv", "size": "xs", "likelihood": "bernoulli", **BRIEF}
vae = trained("course-vae", **setting(QUICK, {"preset": "course-vae"}))
cvae = trained("course-cvae", model="cvae", **setting(QUICK, {"preset": "course-cvae"}))

# %%
TERMS = ("loss", "distortion", "rate")
models, published = {"VAE": vae, "conditional VAE": cvae}, (155.9, 131.8)
rows = []
for (name, run), loss in zip(models.items(), published, strict=True):
    measured = run.test()
    row = {"model": name} | {term: measured[term] for term in TERMS}
    rows.append(row | {"published": loss})
table(rows)

# %% [markdown]
# The label is worth far more than the $\log(10) = 2.3$ nats that it takes to say which digit an image is. Two units
# are a narrow code: the VAE spends it mostly on the digit, and still takes a 4 for a 9 and a 5 for an 8; told the
# digit, a model spends all of it on how the digit is written.

# %%
test = vae.spread("test", 30)
panels = [("test images", vae.reconstruct(test)[0])]
panels += [(name, run.reconstruct(test)[2].mean) for name, run in models.items()]
picture(figures.beside(panels, columns=6))

# %% [markdown]
# ## The plane of the VAE
#
# Every point of a 31×31 grid on $[-2, 2]^2$, decoded. Neighbours are alike everywhere: codes are drawn with noise, so
# that a decoder does best to change slowly. From one digit to the next it passes through images that are neither.

# %%
plane = walks.manifold(vae, n=31, span=2.0)
picture(plane.figure)

# %% [markdown]
# The codes of test images on the same plane. Digits cluster because the code is all that the decoder gets: to draw
# another digit it must be given another place. What looks alike is mixed, as 4 and 9, or 3, 5 and 8.

# %%
walks.scatter(vae)

# %% [markdown]
# ## The planes of the conditional VAE
#
# There is one plane for each label. These are the planes of 4 and 8, every other point of the same grid. All of it is
# the one digit, and the place says how it is written; what that means, as wide or narrow, upright or slanted, is much
# the same on either plane.

# %%
four, eight = (walks.manifold(cvae, n=31, span=2.0, label=label) for label in ("4", "8"))
panels = [("y = 4", four["mean"][::2, ::2]), ("y = 8", eight["mean"][::2, ::2])]
picture(figures.manifolds(panels, four["ticks"][::2]))

# %% [markdown]
# ### Why its scatter looks unclustered
#
# The same test images, encoded with their labels. The classes lie over one another about the middle of the prior:

# %%
walks.scatter(cvae)

# %% [markdown]
# Nothing is wrong with that. Write $q(z|y)$ for the codes of one class, the mean of $q(z|x,y)$ over its images, and
# $q(z)$ for the codes of all. The rate, averaged over all images, has three parts:
#
# $$\bar R = \underbrace{I(z; x \,|\, y)}_{\text{how it is written}} + \underbrace{I(z; y)}_{\text{which digit it is}}
#   + \underbrace{D_{\mathrm{KL}}(q(z)\,\|\,p(z))}_{\text{codes against prior}} .$$
#
# The decoder is handed $y$ anyway, so that a code which says it once more pays $I(z; y)$ nats and saves nothing: what
# is left to say is how the digit is written, and $z$ becomes independent of $y$. A model that is exact has no choice
# at all: if $q(z|x,y) = p(z|x,y)$ and the images of a class are drawn from $p(x|y)$, then
#
# $$q(z|y) = \int p(z|x,y)\, p(x|y)\, dx = p(z|y) = p(z),$$
#
# the same for every class. The VAE has no $y$ to hand over, and pays for the digit in $z$. (At the quick setting the
# 1s, the narrowest of all digits, and the 0s, the widest, still lean to one side: what a place means was learned first
# for all classes together. The ten epochs of the full one undo that.)
#
# ## Which digit is it?
#
# From the codes: a logistic regression and a vote of ten neighbours learn from the codes of 5,000 training images and
# are asked about test images. Beside them stand two principal components, and the 784 pixels themselves.

# %%
some = Options(rows=setting(1000, 5000))
plain, given = (evaluate_run(run, metrics=["probes"], options=some) for run in (vae, cvae))


def probed(name, record, what):
    found = (record["figures"][f"probes.{what}_{how}"] for how in ("linear", "neighbours"))
    linear, votes = (figure["value"] for figure in found)
    return {"share right, from": name, "regression": linear, "10 neighbours": votes}


rows = [probed("codes of the VAE", plain, "codes"), probed("codes given y", given, "codes")]
rows += [probed("two components", plain, "pca"), probed("pixels", plain, "raw_values")]
table(rows)

# %% [markdown]
# One in ten is guessing. The VAE's codes tell more than half of the digits, and more than two principal components do.
# Those of the conditional VAE tell a quarter at the quick setting, by the 0s and 1s of the picture above, and at the
# full one 0.12 to 0.14: independence, in a number.
#
# Yet the conditional VAE is the better classifier, read the other way round. By Bayes' rule
#
# $$p(y|x) = \frac{p(x|y)\, p(y)}{\sum_{y'} p(x|y')\, p(y')} .$$
#
# Each image is encoded and decoded with all ten labels, and $\log p(x|y)$ is estimated with $K$ weighted draws (Burda
# et al. 2016),
#
# $$\log p(x|y) \ge \mathbb{E}\, \log \frac1K \sum_{k=1}^K \frac{p(x|z_k,y)\, p(z_k)}{q(z_k|x,y)},
#   \qquad z_k \sim q(z|x,y),$$
#
# which is the ELBO at $K = 1$ and rises to $\log p(x|y)$ with $K$. A wrong label costs tens of nats, since nothing on
# its plane looks like the image.

# %%
rows, K = setting((1000, 5), (2000, 20))
record = evaluate_run(cvae, metrics=["bayes"], options=Options(rows=rows, samples=K))
for name in ("accuracy", "log_loss", "calibration_error"):
    found = record["figures"][f"bayes.{name}"]
    print(f"{name:17}  {found['value']:.3f} ± {found['standard_error']:.3f}")

# %% [markdown]
# It is mostly right, and much too sure of it. Each point is a bin of test images by the probability of their likeliest
# label; below the dashed line the rule is right less often than it says. The decoder takes the 784 pixels to be
# independent given $z$, which they are not: the same evidence counts many times over, and nearly every image gets a
# probability of nearly 1.

# %%
keys = ("edges", "confidence", "accuracy", "count")
bins = (np.asarray(record["reliability"][key], float) for key in keys)
picture(figures.reliability(*bins))

# %% [markdown]
# ## Another label, the same hand
#
# Since $z$ tells of style and $y$ of the digit, one can be changed without the other: encode an image with its own
# label, and decode the code with each. Slant and width stay along a row; the reconstruction is framed. Where an image
# blurs, as the 1 in the row of the 6, hardly any of that class is written so.

# %%
walks.relabel(cvae)

# %% [markdown]
# ## The size of the code
#
# The same VAE with more units, as a study whose plan comes with zatlas (`zatlas study --plan course-latent-size` does
# the same, and writes a page of it); in both settings with the smaller network, for the course's narrows to 16 numbers
# before its code and is no judge of large ones: given 16 units it used four. Distortion falls as the code grows and
# the rate rises, as long as a nat of rate saves more than a nat of distortion. Then it levels off: after the brief
# training eight units have saved what there was to save, and after ten epochs sixteen save some nats more but leave
# four of themselves unused.

# %%
models = studied("sizes", "course-latent-size", {"latent_dim": [2, 4]}, **setting(BRIEF, {}))
sizes = {H: run for (H,), run in models.items()}
rows = []
for H, run in sizes.items():
    measured, active = run.test(), int((run.unit_rates() > 0.01).sum())
    row = {"latent size": H} | {term: measured[term] for term in TERMS}
    rows.append(row | {"active units": active})
table(rows)

# %%
picture(figures.curves([{**row, "split": "test"} for row in rows], x="latent size"))
