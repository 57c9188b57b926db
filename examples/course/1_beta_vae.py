# %% [markdown]
# # Below and above one: β, centroids, directions
#
# A β-VAE is a VAE whose rate has a weight (Higgins et al. 2017):
#
# $$\mathcal{L}_\beta = \underbrace{-\mathbb{E}_{q(z|x)}\log p(x|z)}_{\text{distortion } D}
#   + \beta\, \underbrace{D_{\mathrm{KL}}(q(z|x)\,\|\,p(z))}_{\text{rate } R}.$$
#
# It is the Lagrangian of *the least distortion that a budget of $\varepsilon$ nats allows*, $\min D$ subject to $R \le
# \varepsilon$: up to the constant $\beta\varepsilon$, $\mathcal{L}_\beta = D + \beta (R - \varepsilon)$. So $\beta$ is
# the price of a nat, and naming a price is naming a budget (chapter 5 goes through the conditions). At $\beta = 1$ the
# loss is a bound on $-\log p(x)$. Below it nats are cheap and above it they are dear; the sum $D + R$ is higher on
# either side.
#
# Here are three prices for the same network of ten units. Losses are in nats per image, on grey MNIST.

# %%
import textwrap

import numpy as np
import torch
from setting import picture, setting, table, trained

from zatlas import explain, figures, walks

BUDGET = setting({"steps": 800, "validations": 2}, {"epochs": 20})
SHARED = {"network": "course-mlp", "latent_dim": 10, "likelihood": "bernoulli", **BUDGET}
runs = {beta: trained(f"beta-{beta}", beta=float(beta), **SHARED) for beta in (0.05, 1, 8)}

# %%
N = len(runs[1].rows("test"))
rows = []
for beta, run in runs.items():
    D, R = (run.test()[term] for term in ("distortion", "rate"))
    active = int((run.unit_rates() > 0.01).sum())
    row = {"beta": beta, "D": D, "R": R, "D + R": D + R, "active units": active}
    rows.append(row | {"R - log N": R - np.log(N)})
table(rows)

# %% [markdown]
# ## What the price buys
#
# Images that the models have not seen, and what comes back of them. Between $\beta = 0.05$ and 1 the strokes lose a
# little, which the table shows better than the eye; at $\beta = 8$ the code can only afford more or less which digit
# it is, how wide and how slanted, and some come back as another one.

# %%
test = runs[1].spread("test", 30)
panels = [("test images", runs[1].reconstruct(test)[0])]
panels += [(f"β = {beta}", run.reconstruct(test)[2].mean) for beta, run in runs.items()]
picture(figures.beside(panels, columns=5))

# %% [markdown]
# New images, $z \sim N(0, I)$, decoded: now $\beta = 0.05$ is the worst, faint and in pieces. At 1 many are digits and
# some are none; at 8 they are blurred, but more of them are whole.

# %%
drawn = {beta: run.sample(49, seed=1)[0].mean for beta, run in runs.items()}
picture(figures.beside([(f"β = {beta}", x) for beta, x in drawn.items()], columns=7))

# %% [markdown]
# Why does the best at copying draw the worst? The decoder has only ever seen codes from the aggregate posterior $q(z)
# = \frac1N\sum_n q(z|x_n)$, and it is asked about codes from the prior. How far these are apart is part of the rate:
# averaged over the images,
#
# $$\frac1N\sum_n D_{\mathrm{KL}}(q(z|x_n)\,\|\,p(z)) = I(x; z) + D_{\mathrm{KL}}(q(z)\,\|\,p(z)) .$$
#
# The first part is what the code tells of the image, and among $N$ images that is $\log N$ nats at most. Hence
#
# $$D_{\mathrm{KL}}(q(z)\,\|\,p(z)) \ge R - \log N .$$
#
# The last column of the table is this bound, for the 10,000 test images: at $\beta = 0.05$ most of the rate is not
# paid for telling images apart but for codes that lie where the prior has hardly any mass. At $\beta = 8$ it is
# negative and says nothing: so small a rate can be all information.
#
# The two units of highest rate, with the posteriors of some test images as ellipses of one standard deviation, and the
# prior's circles. Cheap nats: small posteriors, far apart, and many far outside the circles.


# %%
def two_units(run):
    busiest = np.argsort(-run.unit_rates())[:2]
    return walks.scatter(run, units=tuple(sorted(busiest.tolist())), ellipses=True, n=2000)


two_units(runs[0.05])

# %% [markdown]
# Dear nats: wide posteriors that overlap, where the prior's mass is. Where those of two images overlap, one code has
# to be decoded for both, and what costs least is something between them: that is the blur, and with it the holes are
# closed.

# %%
two_units(runs[8])

# %% [markdown]
# If the prior is what fails at $\beta = 0.05$, another one must help. A mixture of Gaussians is fitted to the codes
# after training, and the same decoders are given draws from it. The leftmost panel is changed altogether; the
# rightmost hardly, for there the two densities were alike to begin with.

# %%
for run in runs.values():
    run.fit_prior("mixture", components=50, rows=5000)
mixed = {beta: run.sample(49, seed=1, prior="mixture")[0].mean for beta, run in runs.items()}
picture(figures.beside([(f"β = {beta}", x) for beta, x in mixed.items()], columns=7))

# %% [markdown]
# With a Gaussian likelihood the same dial has another name: there $D = |x - \hat x|^2 / 2\sigma^2$ plus a constant, so
# that $D + R$ at a fixed $\sigma$ and the squared error with $\beta = 2\sigma^2$ have the same minimisers. Who sets
# $\sigma$ chooses $\beta$.

# %% [markdown]
# ## Centroids
#
# What does the model take a 3 to be? With $C$ the training images of a class, the mean of their codes
#
# $$\hat\mu_C = \frac1{|C|} \sum_{n \in C} \mu(x_n), \qquad q(z|x) = N(\mu(x), \sigma^2(x)),$$
#
# is decoded to its *archetype*. It is no mean of images, which would be a blur of all slants and widths: it is the
# image of a mean slant and a mean width. Samples around it have the standard deviation of a posterior, which is what
# the model takes for the same image; those of a whole class are much wider apart.

# %%
run = runs[1]
centroids = walks.centroid(run)
print(textwrap.fill(centroids.sentences[0], 92))
picture(centroids.figure)

# %% [markdown]
# Centroids can be added and taken away: to give an image of class $a$ the class $b$, move its code from the one to the
# other and keep the rest,
#
# $$z' = z - \hat\mu_a + \hat\mu_b .$$
#
# The reconstruction is framed. What is kept shows along a row, as the thin stroke of the 1. But the arithmetic assumes
# that the rest means the same in every class, and a code far from its own centroid, as that of the 3, is moved to
# where no digit is. Chapter 4 does better, with a model that is told the class.

# %%
walks.relabel(run)

# %% [markdown]
# ## Directions
#
# An attribute that some images have and others lack has a direction $u$, $|u| = 1$, and a length $s$, the distance of
# the two groups' means along it:
#
# $$z(t) = z + t\, s\, u .$$
#
# There are two simple choices of $u$. One is the difference of the centroids, $u \propto \hat\mu_1 - \hat\mu_0$. The
# other is the normal of the plane that tells the groups apart best. If both are Gaussian with one covariance $\Sigma$,
# then
#
# $$\log\frac{p(1|z)}{p(0|z)} = w^T z + c, \qquad w = \Sigma^{-1} (\mu_1 - \mu_0),$$
#
# which is just the form of logistic regression. The two agree where $\Sigma$ is a multiple of the identity. Where it
# is not, $w$ turns away from what varies much within the groups: it tells them apart better and is the shorter way
# across the boundary, but a code that is moved along it need not arrive where the other group lies.

# %%
ways, told = {}, []
for method in ("centroid", "logistic"):
    way = ways[method] = walks.attribute(run, "8", "3", method=method, name=f"8-{method}")
    share = way.facts["held_out_accuracy"]
    row = {"8 or 3": method, "accuracy": share["value"], "s.e.": share["standard_error"]}
    told.append(row | {"s": float(way["scale"])})
table(told, digits=3)
cosine = ways["centroid"]["vector"] @ ways["logistic"]["vector"]
print(f"angle between the two: {np.degrees(np.arccos(cosine)):.0f}°")

# %% [markdown]
# Test images of both classes, moved along the difference of centroids. At strength 0 is the reconstruction; 1 is as
# far as from the one mean to the other. The 8s have become 3s at −1 or −2; of the 3s the plainest, the last, closes to
# an 8 between 1 and 2, and odd ones above it miss. Below is where all test images of the two classes lie.

# %%
picture(ways["centroid"].figure)

# %% [markdown]
# Nobody has to have labelled the attribute. Slant can be measured from the second moments of the ink, as
# $-\arctan(\mu_{11} / \mu_{02})$. Of each class the 50 images that lean most to the right are set against the 50 that
# lean most to the left, so that the groups differ in slant and not in class. Strength 1 is all the way from the one
# extreme to the other: an upright digit has left the data at about a half, and beyond it leans little more and may
# become another one. The table has the mean slant of what is decoded, in degrees, by strength.


# %%
def slant(images):
    """Degrees to the right, of images ``[N, 1, H, W]``."""
    ink = images[:, 0] / images[:, 0].sum((1, 2), keepdims=True)
    down, across = np.indices(ink.shape[1:])
    u, v = (axis - (ink * axis).sum((1, 2))[:, None, None] for axis in (across, down))
    return np.degrees(np.arctan2(-(ink * u * v).sum((1, 2)), (ink * v * v).sum((1, 2))))


train = run.spread("train", 10_000)
train = train[np.argsort(slant(run.source.read(train).astype(float)))]
label = run.source.read_labels(train)
ordered = [train[label == k] for k in range(10)]
ends = [np.concatenate([rows[end] for rows in ordered]) for end in (np.s_[:50], np.s_[-50:])]
left, right = ("rows:" + ",".join(map(str, rows)) for rows in ends)
walks.attribute(run, right, left, name="slant")
leaning = walks.apply(run, "slant", n=6)
strengths, images = leaning["strengths"], leaning["mean"].swapaxes(0, 1)
table([{f"{t:g}": slant(x).mean() for t, x in zip(strengths, images, strict=True)}], digits=0)
picture(leaning.figure)

# %% [markdown]
# ## The transposed convolution
#
# Convolutional decoders grow images by transposed convolutions. A convolution of kernel $K$, stride $S$ and padding
# $P$ takes a side of $W$ pixels to
#
# $$H = \left\lfloor \frac{W + 2P - K}{S} \right\rfloor + 1 .$$
#
# It is linear, $y = Cx$, with a row of the matrix $C$ for each pixel of the output. The transposed convolution is $x =
# C^T y$: it undoes the *shape*, not the values, and it is what backpropagation does to the gradients of a convolution,
# for $\langle Cx, y\rangle = \langle x, C^T y\rangle$. Where $C$ gathers a window of inputs into one output, $C^T$
# spreads one input over a window of outputs, and windows that overlap add up.
#
# Its size is the first formula solved for $W$. The floor has swallowed up to $S - 1$ pixels, so that $S$ sizes have
# the same $H$; the output padding $0 \le O < S$ says which of them is meant:
#
# $$W = (H - 1)\,S - 2P + K + O .$$
#
# The lecture's example has input 4, kernel 5, stride 3, padding 1 and output padding 1:
#
# $$W = (4 - 1) \cdot 3 - 2 \cdot 1 + 5 + 1 = 13 .$$

# %%
steps = explain.conv_transpose(4, 5, stride=3, padding=1, output_padding=1)
for sentence in steps.sentences:
    print(textwrap.fill(sentence, 92, subsequent_indent="   "))
picture(steps.figure)

# %% [markdown]
# The same in torch, with the law of the transpose for a random image and a random code:

# %%
torch.manual_seed(0)
layer = torch.nn.ConvTranspose2d(1, 1, 5, stride=3, padding=1, output_padding=1, bias=False)
x, y = torch.randn(1, 1, 13, 13), torch.randn(1, 1, 4, 4)
Cx = torch.nn.functional.conv2d(x, layer.weight, stride=3, padding=1)
print(f"{tuple(y.shape[2:])} to {tuple(layer(y).shape[2:])}")
print(f"<Cx, y> = {(Cx * y).sum():.4f}, <x, C'y> = {(x * layer(y)).sum():.4f}")

# %% [markdown]
# The course's decoder, in chapter 4, is two of them with $K = 3$, $S = 2$, $P = 1$ and $O = 1$: each doubles the side,
# from 7 to 14 and from 14 to 28. A kernel of 3 does not cover a stride of 2 evenly, hence the checkerboard of which
# the sentences above speak; a kernel of 4 would.
