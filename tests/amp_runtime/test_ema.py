import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from amp_runtime.ema import EmaWarmup, ExponentialMovingAverage
from amp_runtime.policy import Bf16Policy
from amp_runtime.step import NonFinite, StepOptions, TrainingStep
from tests.amp_runtime.problems import batches, make_step, network, regression, same, weights


class Scalar(nn.Module):
    def __init__(self, value=0.0, dtype=torch.float32):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(value, dtype=dtype))


def put(model, value):
    with torch.no_grad():
        model.weight.fill_(value)


def average(ema):
    return ema.state_dict()["averages"]["weight"]


def followed(values, decay, warmup, first=5.0):
    model = Scalar(first)
    ema = ExponentialMovingAverage(model, decay, warmup=warmup)
    for value in values:
        put(model, value)
        ema.update()
    return average(ema).item()


numbers = st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=8)


@settings(max_examples=50)
@given(numbers, st.floats(0, 0.999))
def test_the_average_is_the_weighted_sum_of_all_weights(values, decay):
    n = len(values)
    expected = decay**n * 5 + sum((1 - decay) * decay ** (n - 1 - i) * v for i, v in enumerate(values))
    assert followed(values, decay, EmaWarmup.NONE) == pytest.approx(expected, abs=1e-3)


@settings(max_examples=50)
@given(numbers, st.floats(0.01, 0.999))
def test_debiased_it_is_adams_corrected_moment_and_forgets_the_first_weights(values, decay):
    moment = 0.0
    for value in values:
        moment = decay * moment + (1 - decay) * value
    assert followed(values, decay, EmaWarmup.DEBIAS) == pytest.approx(moment / (1 - decay ** len(values)), abs=1e-3)
    assert followed(values, decay, EmaWarmup.DEBIAS, first=-1e4) == pytest.approx(
        followed(values, decay, EmaWarmup.DEBIAS, first=1e4), abs=1e-2
    )


def test_the_ramp_follows_tensorflows_formula_up_to_the_decay():
    model = Scalar()
    ema = ExponentialMovingAverage(model, 0.3, warmup=EmaWarmup.RAMP)
    decays = []
    for _ in range(4):
        ema.update()
        decays.append(ema.current_decay)
    assert decays == pytest.approx([2 / 11, 3 / 12, 0.3, 0.3])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_average_of_half_precision_weights_is_float32_and_moves(dtype):
    model = Scalar(1.0, dtype)
    ema = ExponentialMovingAverage(model, 0.9999)
    put(model, 2.0)
    for _ in range(10):
        ema.update()
    assert average(ema).dtype is torch.float32
    assert average(ema).item() == pytest.approx(2 - 0.9999**10, abs=1e-6)


def test_double_weights_stay_double_beside_float32_ones():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double())
    ema = ExponentialMovingAverage(model, 0.5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(2.0)
    ema.update()
    averages = ema.state_dict()["averages"]
    assert [value.dtype for value in averages.values()] == [torch.float32] * 2 + [torch.float64] * 2
    assert all(
        torch.allclose(averages[name], parameter - 1.0) for name, parameter in model.state_dict(keep_vars=False).items()
    )


def test_the_average_is_no_view_of_the_weights():
    model = network()
    ema = ExponentialMovingAverage(model)
    before = [value.clone() for value in ema.state_dict()["averages"].values()]
    with torch.no_grad():
        model[0].weight.add_(1.0)
    assert same([*ema.state_dict()["averages"].values()], before)


def test_buffers_are_copied_not_averaged():
    model = nn.BatchNorm1d(3)
    ema = ExponentialMovingAverage(model, 0.9)
    model(torch.randn(4, 3))
    ema.update()
    assert torch.equal(ema.state_dict()["buffers"]["running_mean"], model.running_mean)
    assert int(ema.state_dict()["buffers"]["num_batches_tracked"]) == 1


def test_inside_swapped_the_model_is_its_average_and_afterwards_itself():
    step = make_step(Bf16Policy())
    step.ema = ExponentialMovingAverage(step.model, 0.5)
    for batch in batches(3):
        step.run([batch])
    own = weights(step.model)
    with step.ema.swapped():
        inside = weights(step.model)
    assert same(inside, [*step.ema.state_dict()["averages"].values()])
    assert not same(inside, own)
    assert same(weights(step.model), own)


def test_an_exception_inside_swapped_gives_the_weights_back():
    model = network()
    ema = ExponentialMovingAverage(model)
    with torch.no_grad():
        model[0].weight.add_(1.0)
    own = weights(model)
    with pytest.raises(KeyError), ema.swapped():
        raise KeyError
    assert same(weights(model), own)
    ema.update()


def test_training_goes_on_after_a_swap_as_if_there_had_been_none():
    plain, swapping = make_step(), make_step()
    ema = ExponentialMovingAverage(swapping.model)
    for batch in batches(4):
        plain.run([batch])
        swapping.run([batch])
        with ema.swapped(), torch.no_grad():
            swapping.model(batch[0])
    assert same(weights(plain.model), weights(swapping.model))


def test_swapping_twice_or_training_meanwhile_is_refused():
    ema = ExponentialMovingAverage(network())
    with ema.swapped():
        with pytest.raises(RuntimeError, match="already"), ema.swapped():
            pass
        with pytest.raises(RuntimeError, match="train after the swapped"):
            ema.update()


def test_swapping_inside_autocast_is_refused():
    ema = ExponentialMovingAverage(network())
    with (
        torch.autocast("cpu", dtype=torch.bfloat16),
        pytest.raises(RuntimeError, match="before its context"),
        ema.swapped(),
    ):
        pass


def test_the_averaged_state_dict_loads_into_a_plain_model_of_its_dtype():
    model = network().to(torch.bfloat16)
    ema = ExponentialMovingAverage(model, 0.5)
    with torch.no_grad():
        model[0].weight.add_(1.0)
    ema.update()
    fresh = network().to(torch.bfloat16)
    fresh.load_state_dict(ema.averaged_state_dict())
    assert torch.equal(fresh[0].weight, ema.state_dict()["averages"]["0.weight"].bfloat16())


@pytest.mark.parametrize("warmup", EmaWarmup)
def test_state_survives_a_round_trip(warmup, tmp_path):
    def train(step, data):
        for batch in data:
            step.run([batch])

    straight = make_step()
    straight.ema = ExponentialMovingAverage(straight.model, 0.7, warmup=warmup)
    train(straight, batches(2))
    torch.save(straight.ema.state_dict(), tmp_path / "ema.pt")
    resumed = make_step(model=network(seed=1))
    resumed.model.load_state_dict(straight.model.state_dict())
    resumed.optimizer.load_state_dict(copy.deepcopy(straight.optimizer.state_dict()))
    resumed.ema = ExponentialMovingAverage(resumed.model)
    resumed.ema.load_state_dict(torch.load(tmp_path / "ema.pt", weights_only=True))
    train(straight, batches(4)[2:])
    train(resumed, batches(4)[2:])
    ours, theirs = resumed.ema.state_dict(), straight.ema.state_dict()
    assert same([*ours["averages"].values()], [*theirs["averages"].values()])
    assert (ours["updates"], ours["decay"], ours["warmup"]) == (4, 0.7, warmup.value)


def test_the_state_of_another_model_is_refused_and_changes_nothing():
    ema, other = ExponentialMovingAverage(network()), ExponentialMovingAverage(nn.Linear(8, 1))
    before = [value.clone() for value in ema.state_dict()["averages"].values()]
    with pytest.raises(ValueError, match=r"6 averages differ, first '0.bias': saved nothing"):
        ema.load_state_dict(other.state_dict())
    assert same([*ema.state_dict()["averages"].values()], before)


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_a_decay_outside_its_range_is_refused(decay):
    with pytest.raises(ValueError, match="decay must be"):
        ExponentialMovingAverage(network(), decay)


def test_a_withheld_step_does_not_advance_the_average():
    model = network()
    ema = ExponentialMovingAverage(model, 0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    options = StepOptions(nonfinite=NonFinite.SKIP)
    step = TrainingStep(model, optimizer, Bf16Policy(), regression, ema=ema, options=options)
    step.run(batches(1))
    before = [value.clone() for value in ema.state_dict()["averages"].values()]
    assert step.run(batches(1, factor=float("nan"))).skipped
    assert ema.updates == 1
    assert same([*ema.state_dict()["averages"].values()], before)
