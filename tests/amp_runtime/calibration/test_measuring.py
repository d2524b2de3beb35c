import torch

from amp_runtime.calibration.formats import PRECISIONS
from amp_runtime.calibration.measuring import Plan, measure_all


def test_patterns_are_fused_in_the_formats_that_work_here():
    plan = Plan(operations=("fusion",), precisions=("fp32", "int8"), quick=True, budget_s=0.5)
    found = measure_all("cpu", plan)
    assert found.cases == ()
    assert {(one.fusion.pattern, one.precision) for one in found.fusions} == {
        (pattern, "fp32") for pattern in ("linear_bias_gelu", "conv_bn_relu", "add_layer_norm", "attention")
    }
    assert len(found.drift.seconds) == 5


def test_a_full_run_is_given_longer_than_a_quick_one():
    assert Plan(quick=True).seconds < 40 < Plan().seconds < 300
    assert Plan().precisions == PRECISIONS


def test_random_numbers_of_the_caller_go_on_as_if_nothing_had_been_measured():
    torch.manual_seed(1)
    wanted = torch.rand(3)
    torch.manual_seed(1)
    measure_all("cpu", Plan(operations=("fusion",), precisions=("fp32",), quick=True, budget_s=0.1))
    assert torch.equal(torch.rand(3), wanted)
