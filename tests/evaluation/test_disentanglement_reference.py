"""The scores that the original library gives on the codes in shared/reference."""

import json

import numpy as np
import pytest

from zatlas.evaluation.disentanglement import dci, irs, mig_histogram, modularity, sap, sap_correlation

from ..conftest import shared_folder


@pytest.fixture(params=["aligned", pytest.param("mixed", marks=pytest.mark.slow)])
def reference(request):
    folder = shared_folder("reference")
    scores = json.loads((folder / "disentanglement_scores.json").read_text(encoding="utf-8"))["scores"]
    with np.load(folder / f"codes_{request.param}.npz") as held:
        split = [held[key] for key in ("codes_train", "factors_train", "codes_test", "factors_test")]
    return split, scores[request.param]


@pytest.mark.slow
def test_what_draws_nothing_is_the_librarys_to_a_millionth(reference):
    split, scores = reference
    found = {
        "mig": mig_histogram(*split[:2]).value,
        "modularity": modularity(*split[:2]).value,
        "irs": irs(*split[:2]).value,
        "sap": sap(*split).value,
        "sap_correlation": sap_correlation(*split[:2]).value,
    }
    expected = {
        **{name: scores[name] for name in ("mig", "modularity", "irs")},
        "sap": scores["sap_continuous_factors_false"]["SAP_score"],
        "sap_correlation": scores["sap_continuous_factors_true"]["SAP_score"],
    }
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_boosted_trees_give_the_librarys_dci(reference):
    split, scores = reference
    score = dci(*split)
    assert {"disentanglement": score.value, **score.parts} == pytest.approx(
        {
            "disentanglement": scores["dci_disentanglement"],
            "completeness": scores["dci_completeness"],
            "informativeness": scores["dci_informativeness_test"],
            "informativeness_train": scores["dci_informativeness_train"],
        },
        abs=0.01,
    )
