"""What all tests share: one thread, a place for data of any machine, and one small trained run."""

from __future__ import annotations

import gc
import os
import re
from pathlib import Path

import pytest
import torch

# Slow tests whose like remains in CI: the same law for another kind, or minutes long. `make thorough` runs them.
THOROUGH = re.compile(
    r"test_scikit_learn_checks\[(AutoEncoder|ConditionalVAE|LadderVAE|VQVAE|GAN|FactorAnalysis)"
    r"|test_onnx_gives_what_the_model_gives\[(?!cvae-flow-flow|vqvae-mlp|cgan-conv|fa)"
    r"|test_a_program_gives_what_the_model_gives\[(?!cvae-flow-flow|vqvae-mlp)"
    r"|test_a_run_of_own_modules_leaves_as_one_file"
    r"|test_a_script_runs_by_itself\[vqvae|test_ten_thousand_trials|test_stopped_and_killed_from_outside"
    r"|test_standard_errors_cover_when_the_points_are_redrawn\[(?!.*-mixed)|test_boosted_trees_give_the_librarys_dci|test_errors_of_overlap_cover.*\[(?!moved)"
    r"|test_the_chapters_of_the_course_book_run\[(2|3|4|5)|test_annealing_importance_and_quadrature_agree"
    r"|test_an_objective_from_training_to_its_figures\[(?!iwae|factor|wasserstein)"
    r"|test_two_workers_of_a_cluster|test_the_system_sees_as_much\[(conv|spatial|autoencoder-kl) large"
    r"|test_a_kind_from_training_to_its_page\[(vae|cgan|ppca)"
    r"|test_an_estimator_from_fit_to_load\[(?!cvae|vqvae|gan|fa)"
    r"|test_page.py::test_(a_training_is_followed|two_runs_stand|what_is_copied|planes_of_two|a_path_through|overlays_say)"
    r"|test_page.py::test_(training_is_a_film|axe_finds_nothing_serious\[dark|map_codes_and_state|pan_and_zoom)"
    r"|test_single_file.py::test_(a_conditional_run|rounded_graphs|training_images|the_page_decodes)"
)


# The longest begin first, or one core waits for the other at the end.
LONG = re.compile(
    r"test_a_study_on_a_cluster|test_the_chapters_of_the_course_book_run|test_killed_before_every_single_call|test_boosted_trees"
    r"|test_interrupted_terminated_killed_and_refused|test_code_named_by_its_place|test_all_five|test_foreign.py"
    r"|test_page.py|test_single_file.py|test_site.py|test_forms.py"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("slow") and THOROUGH.search(item.nodeid):
            item.add_marker(pytest.mark.thorough)

    def order(item: pytest.Item) -> int:
        return 2 if item.get_closest_marker("slow") is None else 1 if LONG.search(item.nodeid) is None else 0

    items.sort(key=order)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # thousands of tests and modules that stay to the end, which no collection need look at again


torch.set_num_threads(1)  # the cores of a shared machine are never all free, and OpenMP's barriers wait for each
os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A folder for decoded images of this session, so that no test sees or fills the user's own."""
    os.environ["ZATLAS_CACHE"] = str(tmp_path_factory.mktemp("cache"))


SHARED = Path(os.environ.get("ZATLAS_SHARED", Path(__file__).parents[2] / "shared"))


def shared_folder(name: str) -> Path:
    """A folder of what the project does not carry: data, weights, reference scores; where it is not, tests skip."""
    if not (SHARED / name).is_dir():
        pytest.skip(f"no {name} under {SHARED}: set ZATLAS_SHARED")
    return SHARED / name


@pytest.fixture(scope="session")
def pretrained() -> Path:
    """Weights that other programs trained, with what those programs make of them."""
    return shared_folder("pretrained")


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conditional VAE on the digits, trained for 200 steps."""
    from zatlas.config import make_config
    from zatlas.runs.training import train

    values = {
        "data": {"source": "digits"},
        "model": {"kind": "cvae", "network": "mlp", "size": "xs"},
        "training": {"steps": 200, "precision": "fp32", "validations": 4},
    }
    out = tmp_path_factory.mktemp("runs") / "digits"
    train(make_config(("test", values)), out=out)
    return out
