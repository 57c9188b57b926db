"""Every kind of model has the methods that its declaration promises, and no other kind passes for it."""

import pytest

from tests import family
from zatlas.config import make_config
from zatlas.recipes import build_model
from zatlas.types import ClosedForm, DataSpec, in_closed_form, inferring

SPEC = DataSpec((64,), "uint8", "class", ("a", "b"))


@pytest.mark.parametrize("kind", family.MODELS)
def test_a_model_has_the_methods_of_its_traits(kind):
    part = family.MODELS[kind]
    model = build_model(make_config(("test", {"model": {"kind": kind, **family.size(kind)}})), SPEC)
    assert model.latent_dims
    if part.infers:
        assert inferring(model) is model
    else:
        with pytest.raises(TypeError, match=r"does not infer: it lacks infer\(x, y\)"):
            inferring(model)
    assert isinstance(model, ClosedForm) == part.closed
    if not part.closed:
        with pytest.raises(TypeError, match="has no closed form"):
            in_closed_form(model)
