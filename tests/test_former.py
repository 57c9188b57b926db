"""Files of the first schema in today's words: each key goes to its part, and what it did not say is not said for it."""

import pytest

from zatlas.config import make_config
from zatlas.config.former import FLOW, FORMER, UNSAID, as_written, modern

# what the first schema wrote for every run, whatever it was
MODEL = {
    "kind": "vae", "latent_dim": 3, "network": "mlp", "size": "xs", "likelihood": "bernoulli", "sigma": 1.0,
    "prior": "normal", "prior_components": 100, "posterior": "diagonal", "flow_layers": 8, "flow_depth": 2,
    "flow_width": 256, "levels": 3, "codebook": "ema", "codebook_size": 256, "code_dim": 16,
}  # fmt: skip
OBJECTIVE = {
    "kind": "elbo", "beta": 2.0, "capacity_steps": 10_000, "gamma": 30.0, "free_bits_nats": 0.0, "samples": 5,
    "estimator": "stratified", "dip_kind": "ii", "dip_off": 10.0, "dip_on": 10.0, "mmd_alpha": 0.0,
    "mmd_weight": 100.0, "factor_gamma": 7.0, "spectral_norm": False, "penalty": 1.0, "penalty_every": 0,
    "critic_steps": 5,
}  # fmt: skip


def old(model=None, objective=None, **more):
    return {"model": MODEL | (model or {}), "objective": OBJECTIVE | (objective or {}), **more}


def without(record, *keys):
    return {key: value for key, value in record.items() if key not in keys}


@pytest.mark.parametrize("key", sorted(FORMER))
def test_a_former_name_goes_to_its_part_and_to_no_other(key):
    section, name = key
    assert modern({section: {name: "some"}}) == {place: {called: "some"} for place, called in FORMER[key]}


def test_of_two_gammas_the_one_of_the_objective_counts():
    for kind, gamma in (("factor", 7.0), ("elbo", 30.0)):
        assert modern({"objective": {"kind": kind, "gamma": 30.0, "factor_gamma": 7.0}})["objective"]["gamma"] == gamma
    assert modern({"objective": {"kind": "factor", "factor_gamma": 7.0}})["objective"]["gamma"] == 7.0


def test_todays_files_are_taken_as_they_are():
    held = {"model": {"kind": "gan"}, "objective": {"kind": "gan", "spectral_norm": True}, "network": {"kind": "conv"}}
    assert as_written({"schema": 2, **held}) == held


def test_keys_of_other_parts_go_where_they_say_nothing():
    found = as_written(old())
    assert found["model"] == {"kind": "vae", "latent_dim": 3}
    assert found["network"] == {"kind": "mlp", "size": "xs"}
    assert found["likelihood"] == {"kind": "bernoulli"}
    assert found["prior"] == {"kind": "normal"}
    assert FLOW not in found
    assert found["objective"].items() >= {"kind": "elbo", "beta": 2.0}.items()
    make_config(("an old file", found))


def test_keys_of_other_parts_stay_where_they_say_something():
    assert as_written(old({"prior_components": 7}))["prior"] == {"kind": "normal", "components": 7}
    assert as_written(old({"prior": "vamp", "prior_components": 100}))["prior"] == {"kind": "vamp", "components": 100}
    assert as_written(old({"flow_layers": 3}))[FLOW] == {"layers": 3}
    assert as_written(old(objective={"dip_off": 2.0}))["objective"]["off"] == 2.0


@pytest.mark.parametrize(("kind", "likelihood"), [("ppca", "gaussian-learned"), ("fa", "gaussian-per-pixel")])
def test_a_linear_model_has_neither_network_nor_likelihood(kind, likelihood):
    found = as_written(old({"kind": kind, "likelihood": likelihood}, {"kind": "exact", "beta": 1.0}))
    assert not {"network", "likelihood", "prior", "posterior"} & found.keys()
    make_config(("an old file", found))
    kept = as_written(old({"kind": kind, "network": "conv"}, {"kind": "exact", "beta": 1.0}))
    assert kept["network"]["kind"] == "conv"  # which is then refused by name


@pytest.mark.parametrize("kind", ["gan", "cgan"])
def test_a_gan_of_the_first_files_is_what_it_was(kind):
    aged = lambda objective, network: as_written(
        {
            "model": MODEL | {"kind": kind, "network": network},
            "objective": without(OBJECTIVE | objective, "penalty_every"),
        }
    )
    wasserstein = aged({"kind": "wasserstein"}, "conv")
    assert wasserstein["network"]["kind"] == "resnet"
    assert wasserstein["objective"]["penalty_every"] == 1
    plain = aged({"kind": "gan"}, "mlp")
    assert "penalty_every" not in plain["objective"]
    later = as_written(old({"kind": kind, "network": "conv"}, {"kind": "wasserstein", "penalty_every": 4}))
    assert later["network"]["kind"] == "conv"
    assert later["objective"]["penalty_every"] == 4
    other = as_written({"model": MODEL | {"network": "conv"}, "objective": without(OBJECTIVE, "penalty_every")})
    assert other["network"]["kind"] == "conv"


@pytest.mark.parametrize("values", [{}, {"model": 3}, {"model": {}, "objective": 4}, {"model": {"kind": "nothing"}}])
def test_what_is_no_file_of_a_run_is_left_to_be_refused(values):
    assert as_written(values) == modern(values)


def test_the_values_that_say_nothing_are_keys_of_parts():
    assert set(UNSAID) == {"network", "likelihood", "prior", "posterior", FLOW, "model", "objective"}


def test_folders_called_train_and_test_were_labels_in_a_run_of_0_1():
    saved = {"source": "photos", "binarise": "none", "validation": 0.1, "test": 0.1, "split_seed": 0}
    of_its_time = as_written({"data": saved, "model": {"kind": "vae"}})["data"]
    assert (of_its_time["label_level"], of_its_time["split_folders"]) == ("path", False)
    said = as_written({"data": {**saved, "label_level": "top", "split_folders": True}})["data"]
    assert (said["label_level"], said["split_folders"]) == ("top", True)
    assert "split_folders" not in as_written({"data": {"source": "photos"}})["data"]  # a person's own file


@pytest.mark.parametrize("section", ["model", "network", "likelihood", "objective"])
def test_a_section_that_is_none_is_left_to_be_refused(section):
    assert as_written({section: [1], "training": {"steps": 3}})[section] == [1]
