import pytest


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers without their drawing, which takes most of the time."""
    from zatlas.figures.explain import cells, elbo, kl, reparameterisation

    nothing = lambda *args, **kwargs: None
    for room in (cells, elbo, kl, reparameterisation):
        for name in ("cells", "discrete", "curves", "gaussian", "fits", "elbo", "reparameterisation"):
            monkeypatch.setattr(room, name, nothing, raising=False)
