# %% [markdown]
# # How much is a nat worth: the weight of the rate
#
# A fully connected VAE is trained with the weight $\lambda$ in front of the rate,
#
# $$\mathcal{L}_\lambda = \underbrace{-\mathbb{E}_{q(z|x)}\log p(x|z)}_{\text{distortion } D}
#   + \lambda\, \underbrace{D_{\mathrm{KL}}(q(z|x)\,\|\,p(z))}_{\text{rate } R}.$$
#
# All sixteen combinations of the size $H$ of the code and of $\lambda$ are one study, a plan that comes with zatlas
# (`zatlas study --plan course-weights` does the same, and writes a page of it). First $H$ is looked at where
# $\lambda = 1$, then $\lambda$ where $H = 2$. Losses are in nats per image, on grey MNIST: summed over pixels and
# over units, never divided by their number, or else $\lambda$ would mean something else for every image size.

# %%
import numpy as np
from setting import picture, setting, studied, table, trained

from zatlas import figures, walks

BUDGET = setting({"seconds": 6.0}, {"epochs": 20})
SHARED = {"network": "course-mlp", "likelihood": "bernoulli", **BUDGET}
models = studied("weights", "course-weights", {"latent_dim": [2, 10], "beta": [1, 5]}, **BUDGET)

# %% [markdown]
# ## The size of the code
#
# With $H$ units the loss falls until the units are enough; from then on the others stay *dead*: their posterior is the
# prior, they cost nothing and say nothing. So the loss levels off instead of rising.

# %%
sizes = {H: run for (H, weight), run in models.items() if weight == 1}
rows = []
for H, run in sizes.items():
    terms, rates = run.test(), run.unit_rates()
    rows.append({"H": H, **{k: terms[k] for k in ("loss", "distortion", "rate")}, "active": int((rates > 0.01).sum())})
table(rows)

# %% [markdown]
# Random samples, $z \sim N(0, I)$, decoded. At $H = 2$ they are blurred but lie on the plane that was learned; at
# $H = 50$ strokes are sharp but more of the draws fall where no digit ever was: the aggregate posterior
# $q(z) = \frac1N\sum_n q(z|x_n)$ fills less and less of the prior as units are added.

# %%
samples = [(f"H = {H}", run.sample(36, seed=1)[0].mean) for H, run in sizes.items()]
picture(figures.beside(samples, columns=6))

# %% [markdown]
# ## The weight, at two units
#
# A larger $\lambda$ makes every nat of the code dearer. The rate falls, the distortion rises, images become alike. At
# $\lambda = 40$ a nat costs more than it saves: the code is given up altogether (*posterior collapse*), and every
# reconstruction is the mean image.

# %%
weights = {weight: run for (H, weight), run in models.items() if H == 2}
table([{"lambda": w, **{k: run.test()[k] for k in ("loss", "distortion", "rate")}} for w, run in weights.items()])

# %%
grids = []
for w, run in weights.items():
    images = walks.manifold(run, n=12, span=2.0)["mean"]
    grids.append((f"λ = {w}", images.reshape(-1, 1, 28, 28)))
picture(figures.beside(grids, columns=12, gap=0))

# %% [markdown]
# Each point of the next picture is one training. On a dashed line $D + R$ is the same: only $\lambda = 1$ asks for the
# lowest such line, and the other weights ask for another point of the same trade.

# %%
places = [figures.Place(f"λ = {w}", run.test()["rate"], run.test()["distortion"]) for w, run in weights.items()]
picture(figures.rate_distortion(places))

# %% [markdown]
# ## The constrained view
#
# Ask for the least distortion that a budget of $\varepsilon$ nats allows:
#
# $$\min_{q, p} D \quad \text{subject to} \quad R \le \varepsilon.$$
#
# Its Lagrangian, with a multiplier $\lambda \ge 0$ (Karush, Kuhn and Tucker), is
#
# $$\mathcal{F}(q, p; \lambda) = D + \lambda (R - \varepsilon) = \mathcal{L}_\lambda - \lambda \varepsilon .$$
#
# $\lambda\varepsilon$ does not depend on the networks, so for a given $\lambda$ the minimiser of the weighted
# loss is the minimiser of the constrained problem whose budget is the rate that comes out. At the optimum
# complementary slackness $\lambda (R - \varepsilon) = 0$ leaves two cases: the budget is used up, or $\lambda =
# 0$. Along the curve of optima $dD/dR = -\lambda$: $\lambda$ is the price of a nat, and $\lambda = 1$ is the
# price at which $D + R$ bounds $-\log p(x)$.
#
# One may as well name the budget and let the multiplier find the price: descend in the networks, ascend in
# $\lambda$. Here the budget is the rate that $\lambda = 5$ came to; the multiplier should come back to about 5.

# %%
budget = round(weights[5].test()["rate"], 2)
asked = trained("constrained", latent_dim=2, objective="constrained", constrain="rate", target_nats=budget, **SHARED)
found = asked.test()
multiplier = [line["multiplier"] for line in asked.folder.metrics() if "multiplier" in line][-1]
table([{"budget (nats)": budget, "rate": found["rate"], "distortion": found["distortion"], "multiplier": multiplier}])

# %% [markdown]
# The slope of the curve of optima, estimated between neighbouring weights, beside the weights themselves:

# %%
D, R = (np.array([run.test()[k] for run in weights.values()]) for k in ("distortion", "rate"))
pairs = list(zip(weights, list(weights)[1:], strict=False))
table([{"between": f"{a} and {b}", "-dD/dR": -(D[i + 1] - D[i]) / (R[i + 1] - R[i])} for i, (a, b) in enumerate(pairs)])
