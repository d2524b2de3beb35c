import dataclasses
import logging

import pytest

from amp_runtime.capability import Probe, judge
from amp_runtime.config import AmpConfig, LossScaling
from amp_runtime.device import DeviceDescription
from amp_runtime.precision import Precision


def cpu(*flags, lacks=()):
    device = DeviceDescription(
        kind="cpu", torch_device="cpu", name="test CPU", flags=frozenset(flags), flags_source="this test"
    )
    return judge(device, lambda _device, name: Probe(works=name not in lacks, detail=f"{name} was tried"))


@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan"), True])
def test_an_initial_scale_that_cannot_work_is_refused(value):
    with pytest.raises(ValueError, match="init_scale must be a positive finite number"):
        LossScaling(init_scale=value)


@pytest.mark.parametrize("value", [1.0, 0.5, float("inf"), float("nan")])
def test_a_growth_that_does_not_grow_is_refused(value):
    with pytest.raises(ValueError, match="growth_factor"):
        LossScaling(growth_factor=value)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.5, float("nan")])
def test_a_backoff_that_does_not_shrink_is_refused(value):
    with pytest.raises(ValueError, match="backoff_factor"):
        LossScaling(backoff_factor=value)


@pytest.mark.parametrize("name", ["growth_interval", "collapse_patience"])
@pytest.mark.parametrize("value", [0, -3, 1.5, True])
def test_an_interval_must_be_a_whole_number(name, value):
    with pytest.raises(ValueError, match=name):
        LossScaling(**{name: value})


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
def test_loss_scaling_without_fp16_is_a_contradiction(precision):
    with pytest.raises(ValueError, match=f"loss_scaling was given with {precision}"):
        AmpConfig(precision=precision, loss_scaling=LossScaling())


def test_fp16_gets_loss_scaling_by_itself():
    assert AmpConfig(precision=Precision.FP16).loss_scaling == LossScaling()


def test_a_configuration_cannot_be_changed_later():
    with pytest.raises(dataclasses.FrozenInstanceError):
        AmpConfig().precision = Precision.BF16


def test_the_default_is_plain_fp32():
    assert not AmpConfig().enabled
    assert AmpConfig().loss_scaling is None


def test_auto_takes_native_bf16_and_says_why():
    config = AmpConfig.auto(capability=cpu("avx512_bf16"))
    assert config.precision is Precision.BF16
    assert "avx512_bf16" in config.reason


def test_auto_takes_native_fp16_where_bf16_is_only_emulated():
    config = AmpConfig.auto(capability=cpu("avx512_fp16"))
    assert config.precision is Precision.FP16
    assert config.loss_scaling is not None


def test_auto_stays_in_fp32_where_amp_would_be_slower():
    config = AmpConfig.auto(capability=cpu("avx2"))
    assert config.precision is Precision.FP32
    assert "slower" in config.reason


def test_auto_stays_in_fp32_where_nothing_works():
    assert AmpConfig.auto(capability=cpu(lacks=("bf16", "fp16"))).precision is Precision.FP32


def test_forcing_an_emulated_format_works_and_warns(caplog):
    with caplog.at_level(logging.WARNING):
        config = AmpConfig.force_bf16(capability=cpu("avx2"))
    assert config.precision is Precision.BF16
    assert "emulated" in caplog.text


def test_forcing_a_native_format_is_quiet(caplog):
    AmpConfig.force_bf16(capability=cpu("amx_bf16"))
    assert caplog.text == ""


@pytest.mark.parametrize(("force", "name"), [(AmpConfig.force_bf16, "bf16"), (AmpConfig.force_fp16, "fp16")])
def test_forcing_an_absent_format_is_refused_with_the_reason(force, name):
    with pytest.raises(ValueError, match=f"{name} was demanded, but cpu cannot run it: {name} was tried"):
        force(capability=cpu(lacks=(name,)))


def test_force_fp16_keeps_the_callers_scaling():
    scaling = LossScaling(init_scale=8.0)
    assert AmpConfig.force_fp16(capability=cpu("avx512_fp16"), loss_scaling=scaling).loss_scaling is scaling


def test_auto_probes_this_machine_when_nothing_is_injected():
    assert AmpConfig.auto("cpu").precision in Precision
    assert AmpConfig.auto("cpu").reason != AmpConfig().reason
