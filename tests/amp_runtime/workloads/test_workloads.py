import math

import pytest
import torch

from amp_runtime.workloads import Workload, char_lm, digits, digits_fp16, encoder_fp16, gan_fp16, line_gru

FACTORIES = {make.__name__: make for make in (char_lm, digits, digits_fp16, encoder_fp16, gan_fp16, line_gru)}
FP16 = [name for name in FACTORIES if name.endswith("_fp16")]


@pytest.fixture(scope="module")
def runs():
    """40 steps of each workload, with and without AMP, from one seed."""
    made = {(name, amp): FACTORIES[name](amp=amp, seed=0) for name in FACTORIES for amp in (False, True)}
    return {key: (workload, [workload.step() for _ in range(40)]) for key, workload in made.items()}


@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("name", FACTORIES)
def test_the_loss_falls_clearly_within_40_steps(runs, name, amp):
    _, losses = runs[name, amp]
    assert all(math.isfinite(loss) for loss in losses)
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


@pytest.mark.parametrize("name", FACTORIES)
def test_amp_tracks_fp32_step_by_step(runs, name):
    _, exact = runs[name, False]
    _, amp = runs[name, True]
    assert amp != exact
    assert max(abs(a - b) for a, b in zip(amp, exact, strict=True)) < 0.05


@pytest.mark.parametrize("name", FACTORIES)
def test_amp_measures_as_well_as_fp32(runs, name):
    exact, amp = runs[name, False][0].evaluate(), runs[name, True][0].evaluate()
    assert amp.keys() == exact.keys()
    assert amp["loss"] == pytest.approx(exact["loss"], rel=0.02)


@pytest.mark.parametrize("name", FACTORIES)
def test_a_workload_keeps_the_contract(runs, name):
    workload, losses = runs[name, True]
    assert isinstance(workload, Workload)
    assert isinstance(workload.model, torch.nn.Module)
    assert all(type(loss) is float for loss in losses)
    assert all(type(value) is float for value in workload.evaluate().values())


def test_each_workload_says_what_it_trains_in(runs):
    assert {runs[name, False][0].precision for name in FACTORIES} == {"fp32"}
    assert {runs[name, True][0].precision for name in FP16} == {"fp16"}
    others = {runs[name, True][0].precision for name in FACTORIES if name not in FP16}
    assert others in ({"bf16"}, {"fp16"})


@pytest.mark.parametrize("name", FACTORIES)
def test_evaluation_changes_nothing(runs, name):
    workload, _ = runs[name, True]
    before = {key: value.clone() for key, value in workload.model.state_dict().items()}
    assert workload.evaluate() == workload.evaluate()
    assert workload.model.training
    assert all(torch.equal(value, before[key]) for key, value in workload.model.state_dict().items())


@pytest.mark.parametrize("name", FACTORIES)
def test_the_seed_alone_decides_weights_and_data(name):
    torch.manual_seed(1)
    one = FACTORIES[name](amp=False, seed=3)
    torch.manual_seed(2)
    two, other = FACTORIES[name](amp=False, seed=3), FACTORIES[name](amp=False, seed=4)
    losses = [[workload.step() for _ in range(3)] for workload in (one, two, other)]
    assert losses[0] == losses[1] != losses[2]


def test_making_a_workload_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    digits(amp=False, seed=9)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("name", FP16)
def test_the_fp16_workloads_really_scale_their_loss(runs, name):
    scaler = runs[name, True][0].policy.scaler
    assert scaler.steps == (80 if name == "gan_fp16" else 40)
    assert scaler.skipped_steps == 0
    assert scaler.current_scale > 4096


@pytest.mark.parametrize("name", FP16)
def test_a_workload_in_fp16_logs_the_loss_scale_of_every_step(runs, name):
    scales = runs[name, True][0].loss_scales
    assert len(scales) == len(runs[name, True][1])
    assert scales[0] == 4096.0
    assert scales[-1] > scales[0]
    assert runs[name, False][0].loss_scales == []
