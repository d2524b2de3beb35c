import dataclasses
import json
import logging

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from amp_runtime.capability import Probe, judge
from amp_runtime.config import AmpConfig, LossScaling
from amp_runtime.config_table import ConfigError
from amp_runtime.device import DeviceDescription
from amp_runtime.precision import Precision


def cpu(*flags, lacks=()):
    device = DeviceDescription(
        kind="cpu", torch_device="cpu", name="test CPU", flags=frozenset(flags), flags_source="this test"
    )
    return judge(device, lambda _device, name: Probe(works=name not in lacks, detail=f"{name} was tried"))


@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan"), True, "65536", None, 1e39, 1e-45])
def test_an_initial_scale_that_cannot_work_is_refused(value):
    with pytest.raises(ValueError, match="init_scale must be a positive finite number"):
        LossScaling(init_scale=value)


@pytest.mark.parametrize("value", [1.0, 0.5, float("inf"), float("nan"), True, "2"])
def test_a_growth_that_does_not_grow_is_refused(value):
    with pytest.raises(ValueError, match="growth_factor"):
        LossScaling(growth_factor=value)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.5, float("nan"), False, "0.5"])
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


def test_a_configuration_tells_what_it_will_do_and_why():
    text = AmpConfig(precision=Precision.FP16, reason="asked for", loss_scaling=LossScaling(init_scale=8.0)).as_text()
    assert text.splitlines() == [
        "precision: fp16 (asked for)",
        "device: cpu",
        "loss scaling: starts at 8, times 2 after 2000 good steps, times 0.5 after a skipped one",
    ]
    assert AmpConfig().as_text().endswith("loss scaling: none")


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


@pytest.mark.parametrize("name", ["bf16", "bf16-mixed", "bfloat16"])
def test_a_precision_may_be_named_as_other_libraries_do(name):
    assert AmpConfig(precision=name).precision is Precision.BF16


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"precision": "pf16"}, "precision 'pf16' is not known; did you mean 'fp16'?"),
        ({"precision": "16-true"}, "keeps the weights themselves in half precision"),
        ({"device": "gpu"}, "device 'gpu' is not known"),
        ({"device": "cudo"}, "did you mean 'cuda'?"),
        ({"device": "cuda:x"}, "device 'cuda:x' is not known"),
        ({"device": "rocm"}, "is called 'cuda' in PyTorch"),
        ({"precision": "fp16", "loss_scaling": {"init_scale": 8.0}}, "must be a LossScaling"),
    ],
)
def test_what_cannot_be_is_refused_at_construction(fields, message):
    with pytest.raises(ConfigError) as caught:
        AmpConfig(**fields)
    assert message in str(caught.value)


scalings = st.builds(
    LossScaling,
    init_scale=st.floats(2.0**-126, 2.0**127) | st.integers(1, 2**40),
    growth_factor=st.floats(1, 1e6, exclude_min=True),
    backoff_factor=st.floats(0, 1, exclude_min=True, exclude_max=True),
    growth_interval=st.integers(1, 10**9),
    collapse_patience=st.integers(1, 10**9),
)
devices = st.sampled_from(["cpu", "cuda", "cuda:3", "xpu:0", "mps"])
reasons = st.text(st.characters(exclude_categories=["Cs", "Cc"]))
configs = st.one_of(
    st.builds(AmpConfig, precision=st.sampled_from(["fp32", "bf16"]), device=devices, reason=reasons),
    st.builds(AmpConfig, precision=st.just("fp16"), device=devices, reason=reasons, loss_scaling=st.none() | scalings),
)


@given(configs)
def test_plain_data_and_toml_give_the_same_configuration_back(config):
    assert AmpConfig.from_dict(config.to_dict()) == config
    assert AmpConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert AmpConfig.from_toml(tomlkit.dumps({"amp": config.to_dict()})) == config


TOML = """
[amp]
precision = "fp16"
device = "cuda:1"

[amp.loss_scaling]
init_scale = 1024
growth_interval = 500
"""


def test_toml_is_read_from_text_and_from_a_file_and_from_any_table(tmp_path):
    wanted = AmpConfig(
        precision=Precision.FP16,
        device="cuda:1",
        loss_scaling=LossScaling(init_scale=1024.0, growth_interval=500),
    )
    (tmp_path / "train.toml").write_text(TOML)
    assert AmpConfig.from_toml(TOML) == wanted
    assert AmpConfig.from_toml(tmp_path / "train.toml") == wanted
    assert AmpConfig.from_toml(TOML.replace("[amp", "[tool.mine.amp"), table="tool.mine.amp") == wanted


def test_what_is_left_out_has_its_default():
    assert AmpConfig.from_toml("[amp]") == AmpConfig()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[amp]\nprecison = 'bf16'", "the text, [amp] has no key 'precison'; did you mean 'precision'?"),
        ("[amp]\nlearning_rate = 0.1", "has no key 'learning_rate' (keys: device, loss_scaling, precision, reason)"),
        ("[amp]\nprecision = 16", "precision must be a string, not 16"),
        ("[amp]\nprecision = true", "precision must be a string, not True"),
        ("[amp]\nprecision = 'half'", "precision 'half' is not known"),
        ("[amp]\ndevice = 'gpu'", "the text, [amp]: device 'gpu' is not known"),
        ("[amp]\nloss_scaling = 8", "loss_scaling must be a table, not 8"),
        ("[amp]\nprecision = 'bf16'\nloss_scaling = {}", "loss_scaling was given with bf16"),
        ("[amp]\nprecision = 'fp16'\nloss_scaling = {init = 1}", "loss_scaling has no key 'init'"),
        ("[amp]\nprecision = 'fp16'\nloss_scaling = {init_scale = '1'}", "init_scale must be a number, not '1'"),
        ("[amp]\nprecision = 'fp16'\nloss_scaling = {init_scale = nan}", "loss_scaling: init_scale must be a positive"),
        ("[amp]\nprecision = 'fp16'\nloss_scaling = {growth_interval = 1.5}", "must be a whole number, not 1.5"),
        ("[amp]\nprecision = 'auto'\nloss_scaling = {}", "'auto' leaves open which"),
        ("[amp]\nprecision = 'auto'\nreason = 'mine'", "reason says something about one precision"),
        ("[amp]\nprecision = 'auto'\ndevice = 'gpu'", "device 'gpu' is not known"),
        ("[ams]", "the text has no table [amp]"),
        ("amp = 3", "the text, [amp] must be a table, not 3"),
        ("[amp", "the text is not valid TOML"),
        ("train.toml", "to read a file, give a pathlib.Path"),
    ],
)
def test_every_mistake_in_a_file_is_one_sentence_that_names_its_place(text, message):
    with pytest.raises(ConfigError) as caught:
        AmpConfig.from_toml(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith(("the text", "train.toml"))


def test_a_file_is_named_in_its_errors(tmp_path):
    path = tmp_path / "train.toml"
    path.write_bytes(b"[amp]\nprecision = '\xff'")
    with pytest.raises(ConfigError, match=r"train\.toml is not valid TOML"):
        AmpConfig.from_toml(path)
    with pytest.raises(FileNotFoundError):
        AmpConfig.from_toml(tmp_path / "other.toml")


@pytest.mark.parametrize(("flag", "precision"), [("avx512_bf16", "bf16"), ("avx512_fp16", "fp16"), ("avx2", "fp32")])
def test_auto_in_a_file_is_auto_on_the_device(flag, precision):
    config = AmpConfig.from_toml("[amp]\nprecision = 'auto'", capability=cpu(flag))
    assert config == AmpConfig.auto(capability=cpu(flag))
    assert config.precision == precision


@pytest.mark.parametrize(
    ("requested", "use_amp", "lacks", "precision", "warned"),
    [
        ("fp32", None, (), "fp32", False),
        ("bf16", None, (), "bf16", False),
        ("bf16", False, (), "fp32", False),
        ("fp32", True, (), "bf16", False),
        ("fp32", True, ("bf16",), "fp16", False),
        ("bf16", None, ("bf16",), "fp32", True),
        ("bf16", True, ("bf16",), "fp16", True),
        ("fp32", True, ("bf16", "fp16"), "fp32", True),
    ],
)
def test_a_request_a_switch_and_a_device_make_a_configuration(caplog, requested, use_amp, lacks, precision, warned):
    config = AmpConfig.resolve(requested, use_amp, capability=cpu("avx512_bf16", lacks=lacks))
    assert config.precision == precision
    assert (config.loss_scaling is not None) == (precision == "fp16")
    assert bool(caplog.text) is warned
    assert len(config.reason) > 20
