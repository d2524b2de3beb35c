import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
