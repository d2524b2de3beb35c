import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_runtime.config_table import ConfigError
from amp_runtime.precision import Precision, compute_effective_precision, effective_precision

FP32, BF16, FP16 = Precision.FP32, Precision.BF16, Precision.FP16

SIXTEEN = {
    # (requested, use_amp, cuda_available, use_gpu): effective
    ("16", True, True, True): "16",
    ("16", True, True, False): "32",
    ("16", True, False, True): "32",
    ("16", True, False, False): "32",
    ("16", False, True, True): "32",
    ("16", False, True, False): "32",
    ("16", False, False, True): "32",
    ("16", False, False, False): "32",
    ("32", True, True, True): "16",
    ("32", True, True, False): "32",
    ("32", True, False, True): "32",
    ("32", True, False, False): "32",
    ("32", False, True, True): "32",
    ("32", False, True, False): "32",
    ("32", False, False, True): "32",
    ("32", False, False, False): "32",
}


@pytest.mark.parametrize(("case", "effective"), SIXTEEN.items(), ids=str)
def test_each_of_the_16_combinations_has_its_precision(case, effective):
    assert compute_effective_precision(*case) == effective


def test_the_16_combinations_are_all_there_are():
    assert set(SIXTEEN) == set(itertools.product(("16", "32"), *[(True, False)] * 3))


@given(st.text(), st.booleans(), st.booleans())
def test_without_a_switch_the_request_stands_whatever_the_hardware(requested, cuda, gpu):
    assert compute_effective_precision(requested, None, cuda, gpu) == requested


MODERN = [
    # requested, use_amp, available (best first), effective
    (FP32, None, (BF16, FP16), FP32),
    (BF16, None, (BF16, FP16), BF16),
    (FP16, None, (BF16, FP16), FP16),
    (BF16, None, (FP16,), FP32),
    (FP16, None, (), FP32),
    (FP32, True, (BF16, FP16), BF16),
    (FP32, True, (FP16,), FP16),
    (FP32, True, (), FP32),
    (FP16, True, (BF16, FP16), FP16),
    (BF16, True, (FP16,), FP16),
    (BF16, True, (), FP32),
    (FP16, False, (BF16, FP16), FP32),
    (FP32, False, (BF16, FP16), FP32),
]


@pytest.mark.parametrize(("requested", "use_amp", "available", "effective"), MODERN)
def test_request_switch_and_device_decide_together(requested, use_amp, available, effective):
    assert effective_precision(requested, use_amp, available).precision is effective


ORDERS = [(), (BF16,), (FP16,), (BF16, FP16), (FP16, BF16)]


@pytest.mark.parametrize("available", ORDERS, ids=str)
@pytest.mark.parametrize("use_amp", [None, True, False])
@pytest.mark.parametrize("requested", list(Precision))
def test_every_combination_follows_four_sentences(requested, use_amp, available):
    got = effective_precision(requested, use_amp, available).precision
    if use_amp is False:  # the switch wins
        assert got is FP32
    elif requested in available:  # what can be had is had
        assert got is requested
    elif use_amp:  # else the best there is
        assert got is (available[0] if available else FP32)
    else:  # without the switch nothing else than the request is ever used
        assert got is FP32


@given(
    st.sampled_from(Precision),
    st.sampled_from([None, True, False]),
    st.lists(st.sampled_from([BF16, FP16]), unique=True),
)
def test_never_a_format_the_device_lacks_and_always_a_reason(requested, use_amp, available):
    decided = effective_precision(requested, use_amp, available)
    assert decided.precision is FP32 or decided.precision in available
    assert len(decided.reason) > 20


@given(st.sampled_from(Precision), st.lists(st.sampled_from([BF16, FP16]), unique=True))
def test_switching_amp_off_always_means_fp32(requested, available):
    assert effective_precision(requested, False, available).precision is FP32


def test_the_reason_names_what_was_asked_for_and_what_came():
    reason = effective_precision(BF16, True, (FP16,)).reason
    assert "bf16" in reason
    assert "fp16" in reason


def test_only_fp16_needs_loss_scaling():
    assert [p for p in Precision if p.needs_loss_scaling] == [FP16]
    assert [p for p in Precision if p.is_low] == [BF16, FP16]


SPELLINGS = {
    FP32: ["fp32", "32", "32-true", "float32", "no"],
    BF16: ["bf16", "bf16-mixed", "bfloat16"],
    FP16: ["fp16", "16", "16-mixed", "float16", 16],
}


@pytest.mark.parametrize(("precision", "name"), [(p, name) for p, names in SPELLINGS.items() for name in names])
def test_the_spellings_of_other_libraries_are_known(precision, name):
    assert Precision.parse(name) is precision
    assert Precision.parse(precision) is precision


@pytest.mark.parametrize("name", ["16-true", "bf16-true"])
def test_half_precision_weights_are_no_mixed_precision(name):
    with pytest.raises(ConfigError, match="small updates round to nothing"):
        Precision.parse(name)


@given(st.text().filter(lambda name: name not in {s for names in SPELLINGS.values() for s in names}))
def test_any_other_name_is_refused_in_one_sentence(name):
    with pytest.raises(ConfigError):
        Precision.parse(name)


def test_the_nearest_name_is_suggested():
    with pytest.raises(ConfigError, match="did you mean 'bf16-mixed'"):
        Precision.parse("bf16_mixed")
