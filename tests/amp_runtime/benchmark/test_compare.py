import dataclasses
import json
import random

import pytest
import torch
from torch import nn

from amp_runtime.benchmark.compare import benchmark_amp
from amp_runtime.benchmark.pairing import Pairing
from amp_runtime.benchmark.quality import Budget, QualityError
from amp_runtime.benchmark.subjects import ModelSubject
from amp_runtime.capability import capability_of
from amp_runtime.config import AmpConfig, LossScaling
from amp_runtime.objective import classification
from amp_runtime.precision import Precision
from amp_runtime.step import StepOptions
from amp_runtime.trackers.jsonl_file import JsonlTracker

BF16 = AmpConfig(precision=Precision.BF16)
QUICK = {"pairing": Pairing(blocks=6, steps=1, warm_up=1, lead_in=0), "budget": Budget(steps=5, seeds=(0, 1, 2, 3, 4))}


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3))


def batches(count, seed=1):
    generator = torch.Generator().manual_seed(seed)
    inputs = [torch.randn(32, 8, generator=generator) for _ in range(count)]
    return [(x, x[:, :3].argmax(1)) for x in inputs]


def subject(given=None, config=BF16, validation=True, **settings):
    return ModelSubject(
        given or model(),
        batches(4),
        classification,
        lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
        config,
        validation=batches(2, seed=2) if validation else (),
        **settings,
    )


@pytest.fixture(scope="module")
def found():
    return benchmark_amp(subject(), **QUICK)


def test_every_figure_says_how_it_was_measured(found):
    for name in ("speedup", "memory_reduction", "whole_reduction", "accuracy_difference", "loss_difference"):
        figure = getattr(found, name)
        assert figure.low <= figure.value <= figure.high
        assert figure.samples >= 1
        assert figure.confidence >= 0.9
        assert (figure.device, figure.dtype) == (capability_of("cpu").device.name, "bf16")
        assert figure.method
    assert found.speedup.samples == len(found.blocks) == 6
    assert sum(block.second_led for block in found.blocks) == 3


def test_memory_falls_under_amp_by_what_was_counted(found):
    fp32, amp = found.fp32.memory, found.amp.memory
    assert found.memory_reduction.value == 1 - amp.activations / fp32.activations > 0
    assert found.whole_reduction.value == 1 - amp.whole / fp32.whole
    assert (fp32.weights, fp32.gradients) == (amp.weights, amp.gradients)


def test_quality_is_compared_seed_by_seed(found):
    assert len(found.fp32.accuracies) == len(found.amp.accuracies) == 5
    assert len(set(found.fp32.losses)) == 5
    assert found.fp32.losses != found.amp.losses
    assert abs(found.loss_difference.value) < 0.02


def test_the_given_model_and_the_random_generators_are_left_as_they_were():
    given = model()
    given[1].eval()
    state = {name: value.clone() for name, value in given.state_dict().items()}
    modes = [module.training for module in given.modules()]
    torch.manual_seed(7)
    random.seed(7)
    expected = (torch.rand(1).item(), random.random())
    torch.manual_seed(7)
    random.seed(7)
    benchmark_amp(subject(given), **QUICK)
    assert (torch.rand(1).item(), random.random()) == expected
    assert [module.training for module in given.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in given.state_dict().items())
    assert all(parameter.grad is None for parameter in given.parameters())


def with_native(native):
    known = capability_of("cpu")
    support = dataclasses.replace(known.dtypes["bf16"], native=native, reason="says the test")
    return dataclasses.replace(known, dtypes={**known.dtypes, "bf16": support})


def test_a_device_that_only_emulates_defers_the_speed_and_judges_the_rest():
    emulated = benchmark_amp(subject(), capability=with_native(False), **QUICK)
    native = benchmark_amp(subject(), capability=with_native(True), **QUICK)
    told = {one.name: one for one in emulated.requirements}
    assert told["speedup"].status.value == "deferred"
    assert "only emulates bf16 (says the test)" in told["speedup"].evidence
    assert told["memory_reduction"].status.value in ("met", "missed")
    assert not emulated.requirements_met
    assert {one.name: one for one in native.requirements}["speedup"].status.value != "deferred"


def test_without_validation_quality_is_deferred_and_has_no_figure():
    found = benchmark_amp(subject(validation=False), **QUICK)
    assert found.accuracy_difference is None
    assert found.loss_difference is None
    assert found.requirements[-1].status.value == "deferred"
    assert "accuracy_difference" not in found.as_dict()
    assert not found.requirements_met


def test_skipped_steps_are_counted_and_prove_no_speed():
    scaling = LossScaling(init_scale=2.0**40)  # some 25 steps overflow
    config = AmpConfig(precision=Precision.FP16, loss_scaling=scaling)
    known = capability_of("cpu")
    support = dataclasses.replace(known.dtypes["fp16"], native=True)
    known = dataclasses.replace(known, dtypes={**known.dtypes, "fp16": support})
    pairing = Pairing(blocks=6, steps=1, warm_up=1, lead_in=0)
    found = benchmark_amp(
        subject(config=config, validation=False), pairing=pairing, budget=Budget(seeds=()), capability=known
    )
    assert found.fp32.skipped == 0
    assert found.amp.skipped == 1.0
    assert found.requirements[0].status.value == "inconclusive"


def test_options_hold_for_both():
    options = StepOptions(clip_norm=1e-8)
    found = benchmark_amp(subject(options=options), **QUICK)
    assert found.fp32.losses == pytest.approx(found.amp.losses, rel=0.05)


def test_the_mapping_is_flat_and_fit_for_json(found):
    flat = found.as_dict()
    assert json.loads(json.dumps(flat, allow_nan=False)) == flat
    assert {type(value) for value in flat.values()} <= {bool, int, float, str}
    assert flat["memory_reduction_percent"] == 100 * found.memory_reduction.value
    assert flat["requirement_speedup"] == found.requirements[0].status.value
    assert flat["amp_activation_bytes"] == found.amp.memory.activations


def test_a_tracker_takes_the_result_and_it_can_be_read_back(found, tmp_path):
    tracker = JsonlTracker(tmp_path / "benchmark.jsonl")
    tracker.config(found.as_dict())
    tracker.log(1, found.figures())
    tracker.close()
    first, second = map(json.loads, (tmp_path / "benchmark.jsonl").read_text("utf-8").splitlines())
    assert first == {"config": found.as_dict()}
    assert second == {"step": 1, **found.figures()}
    assert second["speedup"] == found.speedup.value
    assert second["requirements_met"] == found.requirements_met


def test_the_table_holds_what_is_needed_to_judge_it(found):
    text = found.table()
    for part in ("amp (bf16)", "activations for backward", "speedup >= 1.5:", "float32 matmul precision", "seeds 0, 1"):
        assert part in text
    assert "\t" not in text


def test_a_configuration_without_amp_is_refused():
    with pytest.raises(ValueError, match="nothing to compare"):
        subject(config=AmpConfig())


def test_no_batches_are_refused():
    with pytest.raises(ValueError, match="no batches"):
        ModelSubject(model(), [], classification, torch.optim.SGD, BF16)


def test_a_model_that_cannot_be_copied_is_refused_before_anything_is_trained():
    given = model()
    given.result = given[0].weight * 2  # a tensor with a graph cannot be copied
    with pytest.raises(ValueError, match="cannot be copied"):
        benchmark_amp(subject(given), **QUICK)


class Toy:
    """A workload with a given end."""

    def __init__(self, precision, metrics):
        self.model = nn.Linear(2, 1)
        self.precision = precision
        self._optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self._metrics = metrics

    def step(self):
        self._optimizer.zero_grad()
        loss = self.model(torch.ones(1, 2)).square().sum()
        loss.backward()
        self._optimizer.step()
        return loss.item()

    def evaluate(self):
        return self._metrics


def test_a_workload_that_does_not_change_its_precision_is_refused():
    with pytest.raises(ValueError, match="fp32 with it"):
        benchmark_amp(lambda amp, seed: Toy("fp32", {}), **QUICK)


def test_a_run_that_ends_in_nan_is_no_comparison():
    with pytest.raises(QualityError, match="fp32 from seed 0 ended with a validation loss of nan"):
        benchmark_amp(lambda amp, seed: Toy("bf16" if amp else "fp32", {"loss": float("nan")}), **QUICK)


def test_a_figure_that_only_some_seeds_give_is_refused():
    def factory(amp, seed):
        return Toy("bf16" if amp else "fp32", {"loss": 1.0, "accuracy": 1.0} if seed else {"loss": 1.0})

    with pytest.raises(QualityError, match="'accuracy' for 4 of 5 seeds"):
        benchmark_amp(factory, **QUICK)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"seeds": (1, 1)}])
def test_a_budget_that_measures_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)).rstrip("s")):
        Budget(**wrong)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda_the_peak_of_the_allocator_stands_beside():
    moved = [(x.cuda(), y.cuda()) for x, y in batches(4)]
    config = AmpConfig(precision=Precision.BF16, device="cuda")
    made = ModelSubject(
        model().cuda(), moved, classification, lambda p: torch.optim.SGD(p, lr=0.1), config, validation=moved
    )
    found = benchmark_amp(made, **QUICK)
    assert found.fp32.memory.allocator_peak >= found.fp32.memory.weights
