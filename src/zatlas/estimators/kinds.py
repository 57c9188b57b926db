"""The estimators that people use. They differ by their kind of model and by beta."""

from __future__ import annotations

from typing import Any

from zatlas.config import Likelihood, Network
from zatlas.estimators.base import Binarise, LatentEstimator, Precision, Size


class AutoEncoder(LatentEstimator):
    """An autoencoder: codes without a distribution, so it reconstructs and cannot sample.

    Parameters, attributes and methods are those of :class:`VAE` without beta.

    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().images[:200]
    >>> AutoEncoder(steps=20, size="xs").fit_transform(X).shape
    (200, 2)
    """

    _kind = "ae"


class _Variational(LatentEstimator):
    """Abstract: a model with a rate to weigh."""

    def __init__(
        self,
        *,
        latent_dim: int = 2,
        beta: float = 1.0,
        network: Network = "mlp",
        size: Size = "s",
        likelihood: Likelihood = "auto",
        binarise: Binarise = "none",
        epochs: int | None = None,
        steps: int | None = None,
        seconds: float | None = None,
        batch_size: int = 128,
        learning_rate: float = 4e-3,
        validation: float | None = None,
        patience: int | None = None,
        random_state: Any = 0,
        device: str = "auto",
        precision: Precision = "fp32",
        verbose: bool = False,
        settings: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            latent_dim=latent_dim,
            network=network,
            size=size,
            likelihood=likelihood,
            binarise=binarise,
            epochs=epochs,
            steps=steps,
            seconds=seconds,
            batch_size=batch_size,
            learning_rate=learning_rate,
            validation=validation,
            patience=patience,
            random_state=random_state,
            device=device,
            precision=precision,
            verbose=verbose,
            settings=settings,
        )
        self.beta = beta


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
        beta: weight of the rate.
        network: ``"mlp"``, or ``"conv"`` for images (and the two of the course).
        size: of the networks, ``"xs"``, ``"s"``, ``"m"`` or ``"l"``.
        likelihood: ``"auto"``, ``"bernoulli"``, ``"gaussian"``, ``"gaussian-learned"``, ``"gaussian-per-pixel"`` or
            ``"logistic"`` (discretised, for 8-bit values).
        binarise: train on bits with P(1) = intensity, ``"static"`` or ``"dynamic"``, or ``"none"``.
        epochs, steps, seconds: the first of these limits ends the training; none: 1500 steps or ten epochs, whichever
            is more.
        batch_size: examples in a step.
        learning_rate: the highest of the schedule.
        validation: rows held out of X, a fraction or a count; None: none, or a tenth where there is patience.
        patience: stop after so many validations (20 over the whole training) without a better loss, and keep the best.
        random_state: seed; a RandomState; or None: another result every time.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        precision: ``"fp32"``, ``"bf16"``, or ``"auto"``: what is measured to be faster, so results may differ by run.
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
    ``[N, Y]``, used as they are (bring them to about unit size). Without y, ``transform``, ``reconstruct`` and
    ``score_samples`` sum over the classes; for real labels they refuse. Parameters are those of :class:`VAE`;
    ``settings={"model.conditional_prior": True}`` learns p(z|y).

    Attributes:
        classes_: the classes, sorted; not there for real labels.

    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> cvae = ConditionalVAE(steps=20, size="xs").fit(X[:200], y[:200])
    >>> cvae.sample(4, y=7).shape, cvae.transform(X[:5]).shape, cvae.transform(X[:5], y[:5]).shape
    ((4, 64), (5, 2), (5, 2))
    """

    _kind = "cvae"
