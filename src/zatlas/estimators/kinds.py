"""The estimators that people use, one for each kind of model."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from zatlas.estimators.base import GenerativeEstimator
from zatlas.estimators.inferring import LatentEstimator
from zatlas.estimators.training import TrainedEstimator, parameters

Binarise = Literal["none", "static", "dynamic"]


@parameters
class _Encoding(LatentEstimator, TrainedEstimator):
    """Abstract: a trained model with an encoder and a likelihood."""

    likelihood: str = "auto"
    binarise: Binarise = "none"


class AutoEncoder(_Encoding):
    """An autoencoder: codes without a distribution, so it reconstructs and cannot sample.

    Parameters, attributes and methods are those of :class:`VAE` without objective, beta and prior.

    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().images[:200]
    >>> AutoEncoder(steps=20, size="xs").fit_transform(X).shape
    (200, 2)
    """

    _kind = "ae"


@parameters
class _Variational(_Encoding):
    """Abstract: a flat model with a rate to weigh."""

    objective: str = "elbo"
    beta: float = 1.0
    prior: str = "normal"


class VAE(_Variational):
    """A variational autoencoder (Kingma & Welling 2014); at beta other than 1 a beta-VAE.

    It trains as ``zatlas train`` does with the same numbers and ``--seed random_state``, on all rows of X. Parameters
    are checked in ``fit``.

    Images: whole numbers 0..255 and floats in [0, 1] are intensities (grey: Bernoulli likelihood; RGB: Gaussian of
    learned width); other floats are real numbers. Rows of features: bytes are intensities; all other numbers are real,
    standardised by column within the model, with a Gaussian likelihood of learned width in those units. That holds for
    floats within [0, 1] too, as most such columns are scaled measurements, not intensities: say
    ``likelihood="bernoulli"`` where they are.

    Args:
        latent_dim: D.
        objective: ``"elbo"``, ``"iwae"``, ...: ``zatlas models`` lists them; its own numbers are ``settings``,
            ``{"objective.samples": 10}``.
        beta: weight of the rate.
        prior: ``"normal"``, ``"mixture"``, ``"flow"``, ...
        network: ``"auto"``: ``"table"`` for rows of real columns, ``"conv"`` for a GAN of images, else ``"mlp"``; or
            for images ``"conv"``, ``"resnet"`` or one of those with a name of their own.
        size: of the networks, ``"xs"``, ``"s"``, ``"m"`` or ``"l"``.
        likelihood: ``"auto"``, ``"bernoulli"``, ``"gaussian"``, ``"gaussian-learned"``, ``"gaussian-per-pixel"``,
            ``"continuous-bernoulli"``, or for 8-bit values ``"logistic"``, ``"logistic-mixture"``, ``"categorical"``.
        binarise: train on bits with P(1) = intensity, ``"static"`` or ``"dynamic"``, or ``"none"``.
        epochs, steps, seconds: the first of these limits ends the training; none: 1500 steps or ten epochs, whichever
            is more; for a table 200 steps.
        batch_size: examples in a step; None: what suits the kind of model, and on a CPU the cost of an example.
        learning_rate: the highest of the schedule; None: what suits the kind of model.
        validation: rows held out of X, a fraction or a count; None: none, or a tenth where there is patience, and for a
            table of 30 rows or more without a limit; then the best state by these rows is kept, the start among them.
        patience: stop after so many validations (20 over the whole training) without a better loss, and keep the best.
        random_state: seed; a RandomState; or None: another result every time.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        precision: ``"fp32"``, ``"bf16"``, or ``"auto"``: bf16 where the hardware multiplies in it and a step is large.
        verbose: print the loss ten times, to stderr.
        settings: any other keys of the configuration, ``{"objective.capacity_nats": 20}``.

    Attributes:
        model_: the ``nn.Module``.
        config_: the whole configuration.
        history_: lines of metrics, as in metrics.jsonl, nats per example.
        loss_: mean loss of the finished model over the validation rows, or the training rows where there are none.
        n_steps_, train_seconds_: how long it trained.
        n_features_in_: numbers in one example.
        feature_names_in_: where X was a data frame.

    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().images[:200]
    >>> vae = VAE(latent_dim=2, steps=20, size="xs").fit(X)
    >>> vae.transform(X).shape, vae.sample(3).shape, vae.score_samples(X).shape
    ((200, 2), (3, 8, 8), (200,))
    """

    _kind = "vae"


class ConditionalVAE(_Variational):
    """A conditional VAE (Sohn et al. 2015): y reaches encoder and decoder, so z holds what y does not say.

    y of whole numbers, booleans or words are classes; one-dimensional floats and any two-dimensional y are real columns
    ``[N, Y]``, used as they are (scale them to about unit size). Without y, ``transform``, ``reconstruct`` and
    ``score_samples`` sum over the classes; for real labels they refuse. Parameters are those of :class:`VAE`;
    ``prior="conditional"`` learns p(z|y).

    Attributes:
        classes_: the classes, sorted; not there for real labels.

    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> cvae = ConditionalVAE(steps=20, size="xs").fit(X[:200], y[:200])
    >>> cvae.sample(4, y=7).shape, cvae.transform(X[:5]).shape, cvae.transform(X[:5], y[:5]).shape
    ((4, 64), (5, 2), (5, 2))
    """

    _kind = "cvae"


@parameters
class LadderVAE(_Encoding):
    """A hierarchical VAE with several layers of z (Sonderby et al. 2016; Vahdat & Kautz 2020).

    A code is the units of all levels side by side, the top level first. Parameters are those of :class:`VAE`, and:

    Args:
        latent_dim: units of each level (``network="mlp"``), or channels of each level's map (``"resnet"``).
        levels: how many layers of z.
        objective: ``"elbo"`` or ``"iwae"``.

    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().images[:200]
    >>> LadderVAE(latent_dim=4, levels=2, steps=20, size="xs").fit_transform(X).shape
    (200, 8)
    """

    _kind = "ladder"

    latent_dim: int = 8
    levels: int = 3
    objective: str = "elbo"


@parameters
class VQVAE(_Encoding):
    """A vector-quantised VAE with a prior over its codes (van den Oord et al. 2017).

    A code is its codewords side by side. Parameters are those of :class:`VAE` without objective, beta and prior, and:

    Args:
        latent_dim: number of codes of an example for ``network="mlp"``; ``"conv"`` has a map of them.
        codebook_size: number of codewords.
        code_dim: length of a codeword.

    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().images[:200]
    >>> VQVAE(latent_dim=4, code_dim=3, steps=20, size="xs").fit(X).sample(5).shape
    (5, 8, 8)
    """

    _kind = "vqvae"

    latent_dim: int = 8
    codebook_size: int = 256
    code_dim: int = 16


@parameters
class GAN(TrainedEstimator):
    """A generative adversarial network: it samples, and has neither codes of examples nor a likelihood.

    Parameters are those of :class:`VAE` that it has, and:

    Args:
        latent_dim: of the noise that the generator is given.
        objective: ``"relativistic"`` (with R1 and R2 penalties, Huang et al. 2024), ``"gan"`` (non-saturating,
            Goodfellow et al. 2014) or ``"wasserstein"`` (with gradient penalty, Gulrajani et al. 2017).

    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().images[:200]
    >>> GAN(steps=20, size="xs").fit(X).sample(5).shape
    (5, 8, 8)
    """

    _kind: ClassVar[str] = "gan"

    latent_dim: int = 64
    objective: str = "relativistic"


class ConditionalGAN(GAN):
    """A GAN whose generator and critic are given the label (Mirza & Osindero 2014); y as for :class:`ConditionalVAE`.

    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> ConditionalGAN(steps=20, size="xs").fit(X[:200], y[:200]).sample(4, y=7).shape
    (4, 64)
    """

    _kind = "cgan"


@parameters
class _Linear(LatentEstimator):
    """Abstract: a linear model, fitted in closed form or by EM."""

    latent_dim: int = 2
    binarise: Binarise = "none"
    random_state: Any = 0
    device: str = "auto"
    settings: dict[str, Any] | None = None


class ProbabilisticPCA(_Linear):
    """Probabilistic PCA (Tipping & Bishop 1999), with the posterior and the likelihood exact.

    ``score_samples`` is log p(x) itself, whatever ``samples``.

    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().images[:200]
    >>> ProbabilisticPCA(latent_dim=10).fit_transform(X).shape
    (200, 10)
    """

    _kind = "ppca"


class FactorAnalysis(_Linear):
    """Factor analysis: probabilistic PCA where every value has a noise of its own.

    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().images[:200]
    >>> FactorAnalysis(latent_dim=10).fit_transform(X).shape
    (200, 10)
    """

    _kind = "fa"


KINDS: dict[str, type[GenerativeEstimator]] = {
    kind._kind: kind
    for kind in (
        AutoEncoder,
        VAE,
        ConditionalVAE,
        LadderVAE,
        VQVAE,
        GAN,
        ConditionalGAN,
        ProbabilisticPCA,
        FactorAnalysis,
    )
}
