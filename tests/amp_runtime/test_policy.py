import pytest
import torch
from torch import nn

from amp_runtime.config import AmpConfig, LossScaling
from amp_runtime.policy import Bf16Policy, Fp16Policy, Fp32Policy, policy_for, trained_parameters
from amp_runtime.precision import Precision
from tests.amp_runtime.problems import POLICIES

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


@pytest.mark.parametrize("name", POLICIES)
def test_forward_runs_in_the_policys_format_and_weights_stay_float32(name):
    model = nn.Linear(4, 4)
    with POLICIES[name]("cpu").autocast():
        assert model(torch.randn(2, 4)).dtype is DTYPES[name]
    assert model.weight.dtype is torch.float32


@pytest.mark.parametrize("name", POLICIES)
def test_a_configuration_gives_its_policy(name):
    policy = policy_for(AmpConfig(precision=Precision(name)))
    assert type(policy) is type(POLICIES[name]())
    assert policy.precision == name


def test_the_configurations_scaling_reaches_the_scaler():
    policy = policy_for(AmpConfig(precision=Precision.FP16, loss_scaling=LossScaling(init_scale=32.0)))
    assert policy.scaler.current_scale == 32


@pytest.mark.parametrize("policy", [Fp32Policy(), Bf16Policy()])
def test_only_fp16_scales(policy):
    loss = torch.tensor(2.0)
    assert policy.scaler is None
    assert policy.scale(loss) is loss


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights_are_refused(name, dtype):
    with pytest.raises(ValueError, match=r"is torch\.\w+; \w+ training keeps its weights in float32"):
        POLICIES[name]().check(sgd(nn.Linear(2, 2).to(dtype)))


def test_double_weights_are_fine_without_autocast_only():
    optimizer = sgd(nn.Linear(2, 2).double())
    Fp32Policy().check(optimizer)
    with pytest.raises(ValueError, match=r"torch\.float64"):
        Bf16Policy().check(optimizer)


def test_frozen_half_weights_are_fine():
    model = nn.Sequential(nn.Linear(2, 2).half().requires_grad_(False), nn.Linear(2, 2))
    Fp16Policy().check(sgd(model))
    assert len(trained_parameters(sgd(model))) == 2


def test_fp16_refuses_an_optimizer_that_needs_a_closure():
    with pytest.raises(ValueError, match="LBFGS"):
        Fp16Policy().check(torch.optim.LBFGS(nn.Linear(2, 2).parameters()))


def test_a_device_without_autocast_is_refused():
    with pytest.raises(ValueError, match="no autocast for device type 'meta'"):
        Fp32Policy("meta")


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("device", ["cuda:99", "xpu:99", "mps:99"])
def test_a_device_that_is_not_there_is_refused_in_one_sentence(name, device):
    with pytest.raises(ValueError, match=f"{device} was asked for, but") as caught:
        POLICIES[name]().__class__(device)
    assert len(str(caught.value).splitlines()) == 1


CROSSINGS = [(saved, loaded) for saved in POLICIES for loaded in POLICIES if saved != loaded]


@pytest.mark.parametrize(("saved", "loaded"), CROSSINGS)
def test_the_state_of_another_precision_is_taken_over_but_for_the_loss_scale_and_that_is_said(saved, loaded, caplog):
    policy = POLICIES[loaded]()
    before = policy.state_dict()
    policy.load_state_dict(used(POLICIES[saved]()).state_dict())
    assert policy.state_dict() == before
    assert f"saved by a {saved} run and this one trains in {loaded}" in caplog.text
    assert ("its loss scale is dropped" in caplog.text) is (saved == "fp16")
    assert ("the loss scale starts afresh at" in caplog.text) is (loaded == "fp16")


def used(policy):
    """Train one step that overflows, so that a loss scale is no longer the first one."""
    optimizer = sgd(nn.Linear(2, 2))
    loss = sum(p.sum() for p in trained_parameters(optimizer)) * 1e38
    policy.scale(loss).backward()
    policy.unscale(optimizer)
    policy.step(optimizer)
    policy.update()
    return policy


def test_a_run_that_changes_to_fp16_midway_drops_what_its_scaler_had(caplog):
    policy = used(Fp16Policy(scaling=LossScaling(init_scale=64.0)))
    assert policy.scaler.current_scale == 32
    policy.load_state_dict(Bf16Policy().state_dict())
    assert policy.scaler.current_scale == 64
    assert (policy.scaler.steps, policy.scaler.skipped_steps) == (0, 0)
    assert "afresh at 64" in caplog.text


def test_from_fp16_to_fp16_the_scale_goes_on_in_silence(caplog):
    policy = Fp16Policy()
    policy.load_state_dict(used(Fp16Policy()).state_dict())
    assert policy.scaler.current_scale == 32768
    assert policy.scaler.skipped_steps == 1
    assert caplog.text == ""


@pytest.mark.parametrize("state", [{}, {"precision": "fp8"}, {"loss_scaling": {}}])
@pytest.mark.parametrize("name", POLICIES)
def test_what_is_no_state_of_a_policy_is_refused(name, state):
    with pytest.raises(ValueError, match="no state of a precision policy: its precision is"):
        POLICIES[name]().load_state_dict(state)


def test_an_fp16_state_without_its_scale_is_refused():
    with pytest.raises(ValueError, match="it has no loss scale"):
        Fp16Policy().load_state_dict({"precision": "fp16"})


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_names_its_format_and_device(name):
    policy = POLICIES[name]()
    assert policy.dtype is DTYPES[name]
    assert repr(policy) == f"{type(policy).__name__}('cpu')"
