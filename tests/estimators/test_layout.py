"""What a run's record says of the units of its data."""

import numpy as np
import pytest

from zatlas.data import ArraySource
from zatlas.estimators.layout import Layout


@pytest.mark.parametrize(("largest", "scale"), [(1, 1.0), (255, 255.0)])
@pytest.mark.parametrize("age", ["today", "0.1"])
def test_the_scale_is_what_the_values_were_divided_by(largest, scale, age):
    x = np.random.default_rng(0).integers(0, 2, (9, 4, 4), dtype=np.uint8) * np.uint8(largest)
    source = ArraySource("bits", x)
    about = {key: fact for key, fact in source.about.items() if age == "today" or key != "factor"}
    assert Layout.of_run({"spec": source.spec.to_json(), "about": about}).scale == scale
