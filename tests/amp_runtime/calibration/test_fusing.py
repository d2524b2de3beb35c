import functools

import pytest
import torch

from amp_runtime.calibration.formats import FORMATS
from amp_runtime.calibration.fusing import measure_fusion
from amp_runtime.calibration.operations.attention import Attention
from amp_runtime.calibration.operations.contract import Scale
from amp_runtime.calibration.operations.conv2d import Convolution
from amp_runtime.calibration.operations.fused import (
    Fusion,
    add_layer_norm,
    conv_bn_relu,
    linear_bias_gelu,
    patterns,
    softmax_attention,
)
from amp_runtime.calibration.timing import Effort, timer_for

CPU = torch.device("cpu")
EFFORT = Effort(budget_s=0.05, least_rounds=3, most_rounds=3, sample_s=1e-4, warm_up_s=1e-4)
SMALL = {
    "linear_bias_gelu": functools.partial(linear_bias_gelu, rows=8, width=16),
    "conv_bn_relu": functools.partial(
        conv_bn_relu, shape=Convolution(images=2, channels=3, filters=5, side=8, kernel=3)
    ),
    "attention": functools.partial(
        softmax_attention, shape=Attention(batch=1, heads=2, length=16, width=8, causal=False)
    ),
}


def measured(prepare, precision="fp32", **options):
    with torch.inference_mode():
        return measure_fusion(prepare, precision, CPU, timer_for(CPU), EFFORT, **options)


@pytest.mark.parametrize("precision", ["fp64", "fp32", "bf16", "fp16"])
@pytest.mark.parametrize("name", SMALL)
def test_every_pattern_agrees_with_its_parts_and_both_are_timed(name, precision):
    (found,) = measured(SMALL[name], precision)
    assert found.reason is None
    assert found.agrees
    assert found.difference <= FORMATS[precision].tolerance(found.fusion.terms)
    assert found.speedup.samples == 3
    assert found.fusion.fused_bytes < found.fusion.part_bytes


def test_a_pattern_without_a_kernel_says_what_would_make_one():
    (found,) = measured(functools.partial(add_layer_norm, rows=4, width=8))
    assert found.reason == "PyTorch has no eager kernel for it; torch.compile makes one"
    assert found.speedup is None


def fusion_of(library, number_format, _device):
    x = torch.linspace(0, 1, 8, dtype=number_format.dtype)
    return Fusion(
        pattern="double",
        operators=("mul", "add"),
        shape=(8,),
        parts=lambda x: x * 1 + x,
        library=library,
        how="by hand",
        operands=(x,),
        flops=16,
        part_bytes=10,
        fused_bytes=5,
        terms=1,
    )


def test_a_fused_way_with_other_numbers_has_no_speedup():
    (found,) = measured(functools.partial(fusion_of, lambda x: x * 2.01))
    assert found.agrees is False
    assert found.speedup is None
    assert found.reason.startswith("by hand and the parts do not both give the numbers of FP64")


def test_a_fused_way_that_raises_keeps_its_reason():
    def library(_x):
        raise RuntimeError("no such kernel")

    (found,) = measured(functools.partial(fusion_of, library))
    assert found.reason == "by hand did not run: no such kernel"


def test_a_compiler_stands_beside_the_library_and_may_fail(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda call, **_: call)
    ways = measured(functools.partial(fusion_of, lambda x: 2 * x), compiled=True)
    assert [way.how for way in ways] == ["by hand", "torch.compile"]
    assert all(way.agrees for way in ways)

    def broken(_call, **_options):
        def call(_x):
            raise OSError("no compiler on this machine")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    _, compiled = measured(functools.partial(fusion_of, lambda x: 2 * x), compiled=True)
    assert compiled.reason == "torch.compile did not run: no compiler on this machine"


def test_folded_batch_norm_is_in_one_kernel_where_onednn_has_it():
    how = SMALL["conv_bn_relu"](FORMATS["fp32"], CPU).how
    assert how.startswith("batch norm folded into the weights")


@pytest.mark.parametrize("on_gpu", [False, True])
def test_patterns_are_named_alike_at_every_scale(on_gpu):
    scale = Scale(on_gpu=on_gpu, quick=False, cache_bytes=2**20)
    assert set(patterns(scale)) == {*SMALL, "add_layer_norm"}
