"""The loop: it resumes exactly, stops when it should, and says where a loss went wrong."""

import copy
import math
from functools import cache

import numpy as np
import pytest
import torch

from zatlas.config import make_config
from zatlas.data import ArraySource, Batches
from zatlas.errors import UsageError, ZatlasError
from zatlas.recipes import build_game
from zatlas.training import Average, Budget, Diverged, Optimisation, Schedule, Trainer, Watcher, loop
from zatlas.training.precision import choose_device

CPU = torch.device("cpu")


def source(n=96):
    """Bright spots that move over a dark square."""
    rng = np.random.default_rng(0)
    centre, line = rng.uniform(0, 5, (n, 2, 1)), np.arange(6)
    bumps = np.exp(-((line - centre) ** 2))
    return ArraySource("spots", (255 * bumps[:, 0, :, None] * bumps[:, 1, None, :]).astype(np.uint8))


def trainer(*, steps=14, budget=None, watchers=(), **options):
    data = source()
    torch.manual_seed(0)
    game = build_game(make_config(("test", {"model": {"size": "xs", "likelihood": "bernoulli"}})), data.spec, len(data))
    options = {"optimisation": Optimisation("adamw", 3e-3, (0.9, 0.95)), "schedule": Schedule("cosine", 0.1)} | options
    batches = Batches(data, np.arange(len(data)), batch_size=20, seed=3, binarise="dynamic")
    return Trainer(game, batches, budget=budget or Budget(steps=steps), device=CPU, watchers=watchers, **options)


def weights(t):
    return {name: value.clone() for name, value in t.game.state_dict().items()}


class Keeper(Watcher):
    """Takes the state after every step."""

    def __init__(self):
        self.kept, self.lines = {}, []

    def stepped(self, trainer):
        tensors = {name: value.detach().clone() for name, value in trainer.tensors().items()}
        self.kept[trainer.state.step] = tensors, copy.deepcopy(trainer.snapshot())

    def recorded(self, trainer, record):
        self.lines.append({key: value for key, value in record.items() if key != "seconds"})


@cache
def unbroken(average):
    """A training with the states after each of its steps."""
    keeper = Keeper()
    whole = trainer(average=average, watchers=[keeper])
    whole.fit()
    return whole, keeper


@pytest.mark.parametrize("at", [1, 4, 5, 6, 12])  # an epoch has five steps
@pytest.mark.parametrize("average", [0.0, 0.99])
def test_resumed_training_is_identical(at, average):
    whole, keeper = unbroken(average)
    later = Keeper()
    resumed = trainer(average=average, watchers=[later])
    torch.manual_seed(12345)  # another state of chance, which restoring must undo
    tensors, snapshot = copy.deepcopy(keeper.kept[at])  # training goes on in what is restored
    resumed.restore(tensors, {**snapshot, "stopped": None})
    resumed.fit()
    assert resumed.state.step == whole.state.step == 14
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[name]), name
    for name, value in whole.tensors().items():
        assert torch.equal(value, resumed.tensors()[name]), name
    assert later.lines == [line for line in keeper.lines if line["step"] > at]


def test_training_twice_is_the_same_and_another_seed_is_not():
    one, two = trainer(), trainer()
    for t in (one, two):
        torch.manual_seed(5)
        t.fit()
    assert all(torch.equal(v, weights(two)[n]) for n, v in weights(one).items())
    other = trainer()
    torch.manual_seed(6)
    other.fit()
    assert not all(torch.equal(v, weights(other)[n]) for n, v in weights(one).items())


def test_training_learns():
    t = trainer(steps=100)
    before = t.game("model", next(iter(t.batches.epoch(0))), 0).loss.mean().item()
    t.fit()
    after = t.game("model", next(iter(t.batches.epoch(0))), 0).loss.mean().item()
    assert after < before - 1


@pytest.mark.parametrize(
    ("budget", "steps"), [(Budget(steps=7), 7), (Budget(epochs=2), 10), (Budget(epochs=1, steps=100), 5)]
)
def test_the_first_limit_ends_it(budget, steps):
    t = trainer(budget=budget)
    assert t.fit().step == steps
    assert t.state.stopped == "budget"
    assert t.state.examples == sum((20, 20, 20, 20, 16)[i % 5] for i in range(steps))


def test_seconds_end_it():
    t = trainer(budget=Budget(seconds=0.2))
    t.fit()
    assert 0.2 <= t.state.seconds < 2


def test_a_target_ends_it_at_the_validation_that_meets_it():
    losses = iter([9.0, 8.0, 4.9, 1.0])
    t = trainer(steps=40, validate=lambda game: {"loss": next(losses)}, validations=8, target_loss=5.0)
    state = t.fit()
    assert (state.stopped, state.step, state.best_loss) == ("target", 15, 4.9)


def test_patience_ends_it_and_the_best_is_remembered():
    losses = iter([9.0, 8.0, 8.5, 8.0, 8.1, 1.0])
    t = trainer(steps=40, validate=lambda game: {"loss": next(losses)}, validations=8, patience=3)
    state = t.fit()
    assert (state.stopped, state.best_loss, state.best_step, state.stale) == ("patience", 8.0, 10, 3)


def test_validation_sees_the_average_and_moves_nothing():
    seen = []

    def validate(game):
        seen.append(game)
        return {"loss": 1.0}

    with_validation, without = trainer(validate=validate, average=0.9), trainer(average=0.9)
    for t in (with_validation, without):
        torch.manual_seed(1)
        t.fit()
    assert all(game is with_validation.average.module for game in seen)
    assert all(torch.equal(v, weights(without)[n]) for n, v in weights(with_validation).items())


def test_a_loss_that_explodes_is_named_with_step_and_cause():
    t = trainer(optimisation=Optimisation("sgd", 1e9, (0.9, 0.9)), schedule=Schedule())
    with pytest.raises(Diverged, match=r"step \d+ \(epoch \d+\).*learning rate \(1e\+09\)"):
        t.fit()


def test_data_that_are_not_finite_are_blamed():
    t = trainer()

    class Broken:
        steps_per_epoch = 5

        def __len__(self):
            return 96

        def epoch(self, number, start=0):
            for batch in t_batches.epoch(number, start):
                yield batch._replace(x=torch.full_like(batch.x, math.nan))

    t_batches, t.batches = t.batches, Broken()
    with pytest.raises(Diverged, match=r"at step 0 .*the data holds NaN"):
        t.fit()


def test_clipping_bounds_the_gradient():
    t = trainer(clip_norm=1e-3)
    t.fit()
    norm = torch.stack([p.grad.norm() for p in t.game.parameters()]).norm()
    assert norm <= 1e-3 * 1.001


def test_the_average_is_an_average():
    linear = torch.nn.Linear(1, 1, bias=False)
    average = Average(linear, 0.5)
    start = linear.weight.item()
    with torch.no_grad():
        linear.weight.fill_(4.0)
    average.update(1000)
    assert average.module.weight.item() == pytest.approx(0.5 * start + 2.0)
    average.update(0)  # young averages forget faster: (1 + 0) / (10 + 0)
    assert average.module.weight.item() == pytest.approx(0.1 * (0.5 * start + 2.0) + 0.9 * 4.0)


def test_schedules_rise_and_fall():
    for shape, middle in (("constant", 1.0), ("linear", 0.5), ("cosine", 0.5)):
        schedule = Schedule(shape, warmup=0.2)
        assert schedule(0.0) == 0
        assert schedule(0.1) == pytest.approx(0.5)
        assert schedule(0.2) == pytest.approx(1)
        assert schedule(0.6) == pytest.approx(middle)
        assert schedule(1.0) == pytest.approx(1.0 if shape == "constant" else 0.0)


def test_a_budget_wants_a_limit():
    with pytest.raises(UsageError, match="epochs, steps or seconds"):
        Budget()


def test_weights_of_another_model_are_refused_by_name():
    t = trainer()
    tensors = t.tensors()
    name = "game.model.encoder.net.layers.0.weight"
    with pytest.raises(ZatlasError, match=r"encoder.net.layers.0.weight is \[3, 3\] where the model has"):
        t.restore({**tensors, name: torch.zeros(3, 3)}, t.snapshot())
    with pytest.raises(ZatlasError, match="is missing"):
        t.restore({n: v for n, v in tensors.items() if n != name}, t.snapshot())


def test_a_device_that_is_not_there_is_refused():
    assert choose_device("cpu") == CPU
    with pytest.raises(UsageError, match="no device 'abacus'"):
        choose_device("abacus")


def test_bf16_trains_with_fp32_weights_and_densities():
    t = trainer(steps=5, precision="bf16")
    computed = set()
    for module in t.game.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(lambda _, given, out: computed.add(out.dtype))
    t.fit()
    assert torch.bfloat16 in computed
    assert all(p.dtype == torch.float32 for p in t.game.parameters())
    assert math.isfinite(t.state.seconds)


def test_weight_decay_spares_biases_and_offsets():
    t = trainer(optimisation=Optimisation("adamw", 1e-3, (0.9, 0.95), weight_decay=0.5))
    groups = t.optimizers["model"].param_groups
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    for name, parameter in t.game.named_parameters():
        assert (id(parameter) in decayed) is name.endswith("weight"), name


def turning(at, steps=100, watchers=(), **options):
    """A trainer whose validation loss falls until its own step ``at`` and rises from there."""
    t = trainer(steps=steps, watchers=watchers, begin_again=True, schedule=Schedule("linear", 0.1), **options)
    t.validate = lambda game: {"loss": 10.0 + 0.01 * abs(t.state.own_step - at)}
    return t


class Beginnings(Watcher):
    def __init__(self):
        self.seen = []

    def begun_again(self, trainer):
        self.seen.append((trainer.state.step, trainer.state.span, trainer.progress, weights(trainer)))


def test_what_overfits_begins_again_from_the_first_weights_with_twice_the_steps_to_its_best():
    seen = Beginnings()
    t = turning(25, watchers=[seen], validate=lambda game: {"loss": 0.0}, validations=20)
    before = weights(t)
    state = t.fit()
    # 25 is the best; 1 % worse from 36 on, so that three are so at 50
    (step, span, progress, first), *more = seen.seen
    assert (step, span, progress, more) == (50, 50, 0.0, [])
    assert all(torch.equal(before[name], value) for name, value in first.items())
    assert (state.stopped, state.step, state.beginnings) == ("overfitting", 100, 2)


def test_with_patience_or_a_target_it_goes_on():
    for limit in ({"patience": 50}, {"target_loss": 0.0}):
        t = turning(25, validate=lambda game: {"loss": 0.0}, validations=20, **limit)
        t.target_loss = None
        assert t.fit().beginnings == 1


@cache
def begun_again():
    keeper = Keeper()
    whole = turning(25, watchers=[keeper], validate=lambda game: {"loss": 0.0}, average=0.9)
    whole.fit()
    return whole, keeper


@pytest.mark.parametrize("at", [45, 50, 51, 70])
def test_a_training_that_began_again_is_resumed_identically(at):
    whole, keeper = begun_again()
    resumed = turning(25, validate=lambda game: {"loss": 0.0}, average=0.9)
    torch.manual_seed(12345)
    tensors, snapshot = copy.deepcopy(keeper.kept[at])  # training goes on in what is restored
    resumed.restore(tensors, {**snapshot, "stopped": None})
    resumed.fit()
    assert {**whole.snapshot(), "seconds": 0, "begun_seconds": 0} == {
        **resumed.snapshot(),
        "seconds": 0,
        "begun_seconds": 0,
    }
    for name, value in whole.tensors().items():
        assert torch.equal(value, resumed.tensors()[name]), name


def test_a_validation_is_put_off_until_it_costs_a_twentieth(monkeypatch):
    monkeypatch.setattr(loop, "FREE_ROWS", 150)
    steps = []
    t = trainer(steps=140, validate=lambda game: {"loss": steps.append(t.state.step) or 1.0}, validation_rows=100)
    t.fit()
    # 20 rows a step: 100 rows are looked at for free, 200 once 70 steps were worth 20 times as much
    examples = t.state.examples / 140
    assert steps[0] == 7
    assert steps[1] == pytest.approx(200 / (0.05 * 3 * examples), abs=1)
    assert steps[-1] == 140
    asked = trainer(steps=10, validate=lambda game: {"loss": 1.0}, validation_rows=10**6, patience=100, validations=10)
    assert asked.fit().validations == 10
