# %% [markdown]
# # The probability of an image: exact, bounded, sampled, or not asked
#
# A latent-variable model says how an image comes about: a code $z \sim p(z) = N(0, I)$, then $x \sim p(x|z)$. What it
# says of an image is an integral over all the codes that could have made it,
#
# $$p(x) = \int p(x|z)\, p(z)\, dz .$$
#
# Where $p(x|z)$ is linear and Gaussian the integral is done by hand: probabilistic PCA and factor analysis. Where it
# is a network, the integral is bounded, which is the VAE; or one draws codes and hopes, which is Monte Carlo; or one
# gives the density up and asks a critic, which is the GAN. All figures are in nats per image.

# %%
import numpy as np
import torch
from setting import picture, setting, table, trained

from zatlas import explain, figures, measure, walks
from zatlas.measure.curves import curves

SHARED = {
    "validation": 1000,
    **setting({"steps": 400, "validations": 10}, {"epochs": 40, "validations": 40}),
}

# %% [markdown]
# ## Exact: probabilistic PCA and factor analysis
#
# Let $x = Wz + \mu + \epsilon$ with $\epsilon \sim N(0, \Psi)$. A linear map of Gaussians is Gaussian, so two moments
# are all there is to find:
#
# $$p(x) = N(x;\, \mu,\; W W^\top + \Psi).$$
#
# For the posterior, complete the square in $\log\, p(x|z) + \log\, p(z)$:
#
# $$-\tfrac12 (x - \mu - Wz)^\top \Psi^{-1} (x - \mu - Wz) - \tfrac12 z^\top z
#   = -\tfrac12 (z - m)^\top M (z - m) + \text{const},$$
#
# $$p(z|x) = N(m,\, M^{-1}), \qquad M = I + W^\top \Psi^{-1} W, \qquad m = M^{-1} W^\top \Psi^{-1} (x - \mu).$$
#
# *Probabilistic PCA* has one noise for all pixels, $\Psi = \sigma^2 I$, and its best parameters are known: with the
# eigenvalues $\lambda_1 \ge \dots \ge \lambda_P$ of the covariance and the first $H$ eigenvectors in $U$, they are
# $W = U (\Lambda_H - \sigma^2 I)^{1/2}$ and $\sigma^2$ the mean of the eigenvalues left over. *Factor analysis* has a
# noise for each pixel, $\Psi = \mathrm{diag}(\psi_1, \dots, \psi_P)$, and is fitted by expectation maximisation.
#
# A VAE with a linear decoder and one $\sigma$ *is* PPCA: $M$ is the same for every $x$ and $m$ is linear in it, so a
# linear encoder can hold the true posterior, and with independent units once $W$ is rotated until $W^\top W$ is
# diagonal. Its bound then touches $\log\, p(x)$, and both have the same optimum. What a VAE adds is the network.
#
# All three on grey MNIST, taken as real numbers, with ten units; the VAE has one learned $\sigma$, as PPCA has.

# %%
NOISE = {"likelihood": "gaussian-learned", **SHARED}
gaussian = {
    "PPCA": trained("ppca", model="ppca", latent_dim=10),
    "FA": trained("fa", model="fa", latent_dim=10),
    "VAE": trained("vae-gaussian", latent_dim=10, **NOISE),
}


def measured(run, *metrics, **options):
    """The figures of some metrics of a run, by name."""
    options = measure.Options(**options)
    kept = measure.evaluate_run(run, metrics=metrics, options=options)["figures"]
    return {name: one["value"] for name, one in kept.items()}


rows = []
for name, run in gaussian.items():
    how = "exact" if run.kind.closed else "importance"
    found = measured(run, "bound", how, rows=200, samples=500)
    x, _, back = run.reconstruct(run.spread("test", 200))
    error = float(np.sqrt(np.square(x - back.mean).mean()))
    likelihood = {"log p(x)": found[f"{how}.log_likelihood"], "ELBO": found["elbo"]}
    rows.append({"model": name, **likelihood, "rate": found["rate"], "error": error})
table(rows, digits=3)

# %% [markdown]
# Over 200 test images; $\log\, p(x)$ is exact for the linear models and estimated for the VAE by importance weights,
# of which more below. The error is the root mean square of what a reconstruction misses, where a pixel runs from 0 to
# 1.
#
# PPCA against the VAE is a fair match, one $\sigma$ on either side: the network wins by well over a hundred nats, and
# with the smaller error. Factor analysis seems to beat both, with the largest error of all. But a density has no
# upper limit: where a pixel is the same in every image, $\psi_i \to 0$ earns $-\tfrac12 \log\, 2 \pi \psi_i$ nats for
# saying so. How many pixels lie at the least noise that zatlas lets them have, and what these alone earn:

# %%
fa = gaussian["FA"].model
quiet = fa.log_noise <= fa.log_floor + 1e-6
earned = -0.5 * (np.log(2 * np.pi) + fa.log_noise[quiet]).sum().item()
table([{"pixels": quiet.numel(), "at the floor": int(quiet.sum()), "earn": earned}])

# %% [markdown]
# So nats of continuous data compare models with the same kind of noise, and nothing else. Pictures are fairer:
# reconstructions of test images, then draws of the prior, decoded.

# %%
panels = []
for name, run in gaussian.items():
    x, _, back = run.reconstruct(run.spread("test", 16))
    panels.append((name, back.mean))
picture(figures.beside([("test images", x), *panels], columns=4))

# %%
draws = [(name, run.sample(25, seed=1)[0].mean) for name, run in gaussian.items()]
picture(figures.beside(draws, columns=5))

# %% [markdown]
# A linear model's images are sums of eigenimages with Gaussian weights: ghosts, the strokes of several digits at
# once. A network can bend the surface of its images, so that more of it runs through digits.
#
# ## Bounded: log p(x) = ELBO + KL
#
# For any $q(z|x)$, since $\log\, p(x)$ does not depend on $z$, and $p(x) = p(x, z) / p(z|x)$ for every $z$,
#
# $$\log\, p(x) = \mathbb{E}_q\, \log\, \frac{p(x, z)}{p(z|x)}
#   = \underbrace{\mathbb{E}_q\, \log\, \frac{p(x, z)}{q(z|x)}}_{\text{ELBO}}
#   + \underbrace{\mathbb{E}_q\, \log\, \frac{q(z|x)}{p(z|x)}}_{\text{KL} \,\ge\, 0} .$$
#
# The second term cannot be computed and need not be. The first can; with $p(x, z) = p(x|z)\, p(z)$ it is
#
# $$\text{ELBO} = \underbrace{\mathbb{E}_q\, \log\, p(x|z)}_{-\text{distortion}}
#   - \underbrace{D_{\mathrm{KL}}(q(z|x)\,\|\,p(z))}_{\text{rate}} .$$
#
# To raise it over $q$ is to lower the second term, for the sum stays; to raise it over $p$ is to raise the
# likelihood, or to make the posterior one that $q$ can be. With one unit and one observed number everything can be
# integrated:

# %%
explain.elbo()

# %% [markdown]
# For PPCA $q$ *is* the posterior, so the KL is zero and the ELBO is the likelihood: in the table above the two differ
# by the chance of one draw an image, and by nothing else.
#
# ## The bound as it rises: two units and twenty
#
# From here on MNIST is binarised: whenever an image is looked at, each pixel is drawn as 0 or 1 with its grey as the
# probability. $p(x|z)$ is a product of Bernoullis, a probability of 784 bits, which no $\sigma$ can flatter.

# %%
BITS = {"binarise": "dynamic", **SHARED}
sizes = {z: trained(f"vae-{z}", latent_dim=z, **BITS) for z in (2, 5, 10, 20, 50)}
history = []
for z in (2, 20):
    for line in sizes[z].run.metrics():
        history.append({**line, f"−ELBO, z = {z}": line["distortion"] + line["rate"]})
shown = ("−ELBO, z = 2", "−ELBO, z = 20")
picture(figures.curves(history, x="epoch", keys=shown))

# %% [markdown]
# Eighteen more units are worth some forty nats. Where they come from, over the test images:

# %%
tested = {z: run.test() for z, run in sizes.items()}
terms = ("loss", "distortion", "rate")
table([{"z": z, **{term: tested[z][term] for term in terms}} for z in tested])

# %% [markdown]
# The loss is the negative ELBO. Each unit pays its rate and saves more distortion than it costs, until the code holds
# some twenty nats; units beyond these stay at the prior. So fifty are no better than twenty, and after a short
# training a little worse.
#
# ## Samples before, half-way and after
#
# The same codes, drawn from the prior once and decoded as training went on: the means of $p(x|z)$, first with two
# units, then with twenty.


# %%
def moments(run, n=16):
    """Means of p(x|z) before, half-way through and after training."""
    shots = run.folder.snapshots()
    three = {"before": shots[0], "half-way": shots[len(shots) // 2], "after": shots[-1]}
    return [(step, name, images[:n] / 255) for name, (step, images) in three.items()]


picture(figures.progress(moments(sizes[2]), columns=4))

# %%
picture(figures.progress(moments(sizes[20]), columns=4))

# %% [markdown]
# Before training every code decodes to nearly the mean image, for there zatlas starts the decoder's bias. But a mean
# is not what the model claims to draw: a sample of $p(x)$ is a *draw* from $p(x|z)$, pixel by pixel. From the means
# of the twenty units:

# %%
rng = np.random.default_rng(0)
bits = [(step, name, rng.binomial(1, x) * 1.0) for step, name, x in moments(sizes[20])]
picture(figures.progress(bits, columns=4))

# %% [markdown]
# The grain is the model's own: given $z$ its pixels are independent, so what $z$ does not tell comes out as noise.
# Means look better because they hide it; the likelihood counts it.
#
# ## The plane of two units
#
# The mean image over $[-2, 2]^2$. Neighbours are alike, classes have their provinces, and at the frontiers one digit
# turns into another.

# %%
walks.manifold(sizes[2], n=20, span=2.0)

# %% [markdown]
# ## Sampled: Monte Carlo, and why it fails
#
# $p(x) = \mathbb{E}_{p(z)}\, p(x|z)$ asks to be estimated by draws of the prior,
#
# $$\hat p(x) = \frac1S \sum_{s=1}^{S} p(x|z_s), \qquad z_s \sim p(z).$$
#
# It is unbiased, and right in the limit. Its logarithm is too low on average, by Jensen's inequality, and rises with
# $S$. First on PPCA, where the truth is known, from ten draws on:

# %%
DRAWS = {"prior": setting(10_000, 100_000), "importance": setting(500, 5000)}
ROWS = setting(40, 200)


def estimates(run, rows=ROWS):
    """The curves over the number of draws of prior and posterior, and where they end."""
    for metric, samples in DRAWS.items():
        options = measure.Options(samples=samples, rows=rows)
        kept = measure.evaluate_run(run, metrics=[metric], options=options)["figures"]
    return curves(kept), {name: one["value"] for name, one in kept.items()}


ppca = gaussian["PPCA"]
lines, _ = estimates(ppca, rows=20)
truth = measured(ppca, "exact", rows=20)["exact.log_likelihood"]
line = {"draws of the prior": lines["prior"][1:]}
picture(figures.convergence(line, mark=(truth, "exact")))

# %% [markdown]
# After all these draws it is still tens of nats short. Now the five VAEs:

# %%
found = {z: estimates(run) for z, run in sizes.items()}
priors = {f"z = {z}": lines["prior"][1:] for z, (lines, _) in found.items()}
picture(figures.convergence(priors))

# %% [markdown]
# By these figures five units are better than twenty, which the bound puts more than ten nats ahead. What goes wrong
# is the spread of the weights $w_s = p(x|z_s)$. Since $p(x|z)/p(x) = p(z|x)/p(z)$, their relative variance is
#
# $$\frac{\mathrm{Var}\, p(x|z)}{p(x)^2} = \mathbb{E}_{p(z|x)}\, \frac{p(z|x)}{p(z)} - 1
#   \;\ge\; e^{D_{\mathrm{KL}}(p(z|x)\,\|\,p(z))} - 1,$$
#
# again by Jensen. On average over $x$ this divergence is the information $I$ that a code holds about its image, and
# the rate is the VAE's figure for it. About $e^I$ draws are wanted (Chatterjee and Diaconis, 2018): among fewer, the
# one that happens to lie nearest carries the whole sum, and the *effective sample size*
#
# $$\mathrm{ESS} = \frac{(\sum_s w_s)^2}{\sum_s w_s^2}$$
#
# is one, however many there were. For each size, the draws wanted, $e^{\text{rate}}$; the draws made, and how many of
# them counted; $\log\, p(x)$ by these, and by weighted draws of the posterior, which come next.

# %%
rows = []
for z, (_, ends) in found.items():
    wanted, size = np.exp(tested[z]["rate"]), ends["prior.effective_sample_size"]
    by = {metric: ends[f"{metric}.log_likelihood"] for metric in DRAWS}
    counts = {"wanted": f"{wanted:.0e}", "made": DRAWS["prior"], "ESS": size}
    rows.append({"z": z, **counts, **by})
table(rows)

# %% [markdown]
# At two units some hundred draws are wanted, and enough were made. At twenty it is some hundred million, and more
# than ten billion after 40 epochs; each image is explained by one draw, and the estimate is short by tens of nats. No
# error bar warns of it: the bars are about which images were taken, and what no draw has seen leaves no spread. Each
# nat more in the code multiplies the draws by 2.7.
#
# ## Importance sampling
#
# The cure is to draw where the weight is. For any $q$ that is nowhere zero where $p(x, z)$ is not,
#
# $$p(x) = \mathbb{E}_{q(z|x)}\, \frac{p(x|z)\, p(z)}{q(z|x)}
#   \approx \frac1K \sum_{k=1}^{K} \frac{p(x|z_k)\, p(z_k)}{q(z_k|x)}, \qquad z_k \sim q(z|x).$$
#
# At $K = 1$ its mean logarithm is the ELBO, and it rises to $\log\, p(x)$ as $K$ grows (Burda et al., 2016). The
# weights now vary as far as $q$ differs from the posterior, no longer as far as the posterior differs from the prior:
# how much the code tells does not matter, only how well the encoder knows it. Where it knows it exactly one draw is
# enough, since $p(x|z)\, p(z) / p(z|x) = p(x)$ whatever $z$ is; PPCA again:

# %%
ends = {"exact": truth, "one draw of the posterior": lines["importance"][0].value}
table([{**ends, f"{DRAWS['prior']:,} of the prior": lines["prior"][-1].value}])

# %%
both = {}
for z in (2, 20):
    both[f"z = {z}, prior"] = found[z][0]["prior"][1:]
    both[f"z = {z}, posterior"] = found[z][0]["importance"]
picture(figures.convergence(both))

# %% [markdown]
# At twenty units the first draw of the posterior is beyond what the prior reaches at the end. At two the prior
# overtakes: a plane can be searched, and the search also finds codes that the encoder, with its one bump, has
# overlooked. There quadrature settles the matter:

# %%
exact = measured(sizes[2], "quadrature", rows=ROWS)["quadrature.log_likelihood"]
two = {metric: found[2][1][f"{metric}.log_likelihood"] for metric in DRAWS}
table([{"quadrature": exact, **two}])

# %% [markdown]
# ## Not asked: a GAN
#
# A generator $G$ maps 100 normal numbers to an image and adds no noise: its images lie on a surface without volume,
# and $p(x)$ is zero almost everywhere. So there is no likelihood, but a game with a critic $D$ that says how probable
# it finds it that an image is real,
#
# $$\min_G\, \max_D\, V(D, G), \qquad V(D, G) = \mathbb{E}_x\, \log\, D(x) + \mathbb{E}_z\, \log\,(1 - D(G(z))).$$
#
# For a given $G$, whose images have the density $p_G$, the integrand $p(x) \log\, D + p_G(x) \log\,(1 - D)$ is
# largest at $D^*(x) = p(x) / (p(x) + p_G(x))$. If draws and data are distributed alike, $D^* = \tfrac12$ everywhere
# and $V = -\log\, 4$; otherwise $V(D^*, G) = 2\, D_{\mathrm{JS}}(p\,\|\,p_G) - \log\, 4$ is above that. The generator
# in fact descends $-\log\, D(G(z))$, whose slope does not vanish while the critic wins.
#
# Three trainings from one seed, of a single step, of half the epochs and of all. The last one's images, from the same
# codes:

# %%
GAME = {"model": "gan", "preset": "course-gan", "validation": 1000, "validations": 10}
budgets = {
    "start": {"steps": 1},
    "half": setting({"steps": 500, "precision": "auto"}, {"epochs": 100}),
    "end": setting({"steps": 1000, "precision": "auto"}, {"epochs": 200}),
}
games = {name: trained(f"gan-{name}", **GAME, **budgets[name]) for name in budgets}
picture(figures.progress(moments(games["end"]), columns=4))

# %% [markdown]
# What the critic of each moment thinks of 1,000 test images and of 1,000 draws: its mean scores, $V$, and the share
# of all 2,000 that it is right about.


# %%
def scores(run, images):
    """D of images [N, 1, 28, 28]: how probable the critic finds it that each is real."""
    game = run.game.objective
    with torch.no_grad():
        return game.critic(game.standardise(images), None).sigmoid().numpy()


EIGHT = np.linspace(0, 999, 8).astype(int)
rows, shown, marks = [], [], []
for name, run in games.items():
    test = run.batches(run.spread("test", 1000)).epoch(0)
    x = torch.cat([batch.x for batch in test])
    draws = torch.as_tensor(run.sample(1000, seed=1)[0].mean)
    real, made = scores(run, x), scores(run, draws)
    value = float((np.log(real) + np.log(1 - made)).mean())
    right = float(np.concatenate([real > 0.5, made < 0.5]).mean())
    means = {"D(x)": float(real.mean()), "D(G(z))": float(made.mean())}
    rows.append({"moment": name, **means, "V": value, "right": right})
    order = np.argsort(made)[EIGHT]
    shown.append(draws[order])
    marks.append(made[order])
table(rows)

# %% [markdown]
# $V$ may be below $-\log\, 4 = -1.39$: such a critic does worse than one that always says one half. Its scores of
# single images, each row from the least convincing of 1,000 to the most: draws at the three moments, and test images
# at the last.

# %%
order = np.argsort(real)[EIGHT]
tiles = torch.cat([*shown, x[order]])
figure = figures.grid(tiles, columns=8, row_labels=[*games, "test"], scale=3)
look = {"color": "white", "bbox": {"color": "#000a", "pad": 2}}
for i, mark in enumerate(np.concatenate([*marks, real[order]])):
    place = (i % 8 * 29 + 1.2, i // 8 * 29 + 26.6)
    figure.axes[0].annotate(f"{mark:.2f}", place, **look)
picture(figure)

# %% [markdown]
# After a single step all draws are alike to the critic. In the end its scores of draws and of test images overlap:
# some draws pass, and some real digits do not.
#
# Both players learn, so no curve has to fall. What can be read off is how far $V$ is from $-\log\, 4$, where the
# critic could only guess. The critic swings from one step to the next: the validation line is of single moments, as
# the scores above are, and the training line is a mean over several steps.

# %%
run = games["end"]
history = run.folder.metrics()
guess = {"value": (-np.log(4), "−log 4"), "d_real": (0.5, "½"), "d_fake": (0.5, "½")}
picture(figures.curves(history, x="epoch", keys=list(guess), unit="", marks=guess))

# %% [markdown]
# ## Nine points from one draw to another
#
# Two codes and seven between them. In 100 dimensions draws lie near a sphere of radius 10, and a straight line cuts
# through its inside, where no draw has trained the generator; the spherical path stays on it. Here the two are nearly
# alike, so the images change with the direction of the code more than with its length.

# %%
view = walks.interpolate(run, n=9, path="all", seed=2)
print(*view.sentences)
picture(view.figure)
