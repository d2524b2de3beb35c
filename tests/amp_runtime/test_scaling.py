import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from amp_runtime.config import LossScaling
from amp_runtime.scaling import LossScaler, ScaleCollapseError


def parameter(fused=False):
    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    return weight, torch.optim.SGD([weight], lr=0.5, fused=fused)


def one_step(scaler, weight, optimizer, factor=1.0):
    """Minimise the sum of the weights: the true gradient is `factor` everywhere."""
    optimizer.zero_grad()
    scaler.scale((weight * factor).sum()).backward()
    scaler.unscale(optimizer)
    done = scaler.step(optimizer)
    scaler.update()
    return done


@pytest.mark.parametrize("fused", [False, True])
def test_a_finite_step_is_taken_with_the_true_gradient(fused):
    weight, optimizer = parameter(fused)
    done = one_step(LossScaler("cpu"), weight, optimizer)
    assert not done.skipped
    assert torch.equal(weight.detach(), torch.tensor([0.5, 1.5]))
    assert done.scale.item() == 65536


@pytest.mark.parametrize("fused", [False, True])
def test_an_overflow_skips_the_step_and_halves_the_scale(fused):
    weight, optimizer = parameter(fused)
    scaler = LossScaler("cpu")
    done = one_step(scaler, weight, optimizer, factor=1e38)
    assert done.skipped
    assert torch.equal(weight.detach(), torch.tensor([1.0, 2.0]))
    assert scaler.current_scale == 32768
    assert (scaler.steps, scaler.skipped_steps) == (1, 1)


def test_the_scale_of_a_past_step_does_not_change_with_the_next():
    weight, optimizer = parameter()
    scaler = LossScaler("cpu")
    first = one_step(scaler, weight, optimizer, factor=1e38)
    one_step(scaler, weight, optimizer)
    assert first.scale.item() == 65536


def test_plain_optimizers_are_judged_without_reading_the_device():
    weight, optimizer = parameter()
    scaler = LossScaler("cpu")
    assert one_step(scaler, weight, optimizer).overflow is False
    assert one_step(scaler, weight, optimizer, factor=1e38).overflow is True


def test_fused_optimizers_keep_the_flag_on_the_device_until_it_is_read():
    weight, optimizer = parameter(fused=True)
    assert isinstance(one_step(LossScaler("cpu"), weight, optimizer).overflow, torch.Tensor)


def test_watching_a_step_leaves_no_hook_behind():
    weight, optimizer = parameter()
    one_step(LossScaler("cpu"), weight, optimizer)
    assert not optimizer._optimizer_step_post_hooks


@settings(max_examples=25, deadline=None)
@given(st.lists(st.booleans(), max_size=12), st.booleans())
def test_scale_and_counts_agree_with_gradscaler(overflows, fused):
    settings_ = LossScaling(init_scale=1024.0, growth_interval=2)
    scaler, reference = LossScaler("cpu", settings_), torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
    mine, theirs = parameter(fused), parameter(fused)
    for overflow in overflows:
        factor = 3e38 if overflow else 1.0
        assert one_step(scaler, *mine, factor).skipped == overflow
        theirs[1].zero_grad()
        reference.scale((theirs[0] * factor).sum()).backward()
        reference.step(theirs[1])
        reference.update()
        assert scaler.current_scale == reference.get_scale()
    assert scaler.skipped_steps == sum(overflows)
    assert torch.equal(mine[0], theirs[0])


@pytest.mark.parametrize(("fused", "tolerated"), [(False, 0), (True, 8)])
def test_a_collapsed_scale_stops_training_long_before_the_weights_break(fused, tolerated):
    weight, optimizer = parameter(fused)
    scaler = LossScaler("cpu", LossScaling(init_scale=2.0, collapse_patience=5))

    def train():
        for _ in range(2 + 5 + tolerated):
            one_step(scaler, weight, optimizer, factor=float("nan"))

    with pytest.raises(ScaleCollapseError, match=r"collapsed to .* 5 steps were skipped"):
        train()
    assert torch.equal(weight.detach(), torch.tensor([1.0, 2.0]))


def test_a_collapse_is_announced(caplog):
    weight, optimizer = parameter()
    scaler = LossScaler("cpu", LossScaling(init_scale=0.5))
    with caplog.at_level(logging.WARNING):
        one_step(scaler, weight, optimizer, factor=float("inf"))
    assert "fell to 0.5" in caplog.text


def test_a_short_spell_of_overflow_does_not_stop_training():
    weight, optimizer = parameter()
    scaler = LossScaler("cpu", LossScaling(init_scale=2.0**20, collapse_patience=3))
    for _ in range(20):
        one_step(scaler, weight, optimizer, factor=float("inf"))
    assert scaler.current_scale == 1
    assert not one_step(scaler, weight, optimizer).skipped


def test_a_loss_per_example_is_refused():
    with pytest.raises(ValueError, match=r"one number \(0-dim\), not of shape \(3,\)"):
        LossScaler("cpu").scale(torch.ones(3))


def test_a_float16_loss_is_warned_about_once(caplog):
    scaler = LossScaler("cpu")
    with caplog.at_level(logging.WARNING):
        scaler.scale(torch.tensor(1.0, dtype=torch.float16))
        scaler.scale(torch.tensor(1.0, dtype=torch.float16))
    assert caplog.text.count("32768") == 1


def test_state_survives_a_round_trip():
    weight, optimizer = parameter()
    scaler = LossScaler("cpu", LossScaling(init_scale=64.0, growth_interval=3))
    one_step(scaler, weight, optimizer, factor=1e38)
    one_step(scaler, weight, optimizer)
    restored = LossScaler("cpu", LossScaling(init_scale=64.0, growth_interval=3))
    restored.load_state_dict(scaler.state_dict())
    for _ in range(2):
        one_step(scaler, weight, optimizer)
        one_step(restored, *parameter())
    assert restored.state_dict() == scaler.state_dict()
    assert restored.current_scale == 64


@settings(max_examples=25, deadline=None)
@given(st.lists(st.booleans(), max_size=12), st.booleans())
def test_the_history_tells_every_change_of_gradscalers_scale(overflows, fused):
    scaler = LossScaler("cpu", LossScaling(init_scale=1024.0, growth_interval=2))
    mine = parameter(fused)
    scales = []
    for overflow in overflows:
        scales.append(scaler.current_scale)
        one_step(scaler, *mine, 3e38 if overflow else 1.0)
    told = {change.step: change.scale for change in scaler.scale_changes}
    assert [told.get(1 + i) for i in range(len(scales))] == [
        scale if i == 0 or scale != scales[i - 1] else None for i, scale in enumerate(scales)
    ]
    for change in scaler.scale_changes[1:]:
        assert change.cause == ("overflow" if overflows[change.step - 2] else "growth")


def test_a_restored_scale_is_told_apart_from_growth():
    weight, optimizer = parameter()
    scaler = LossScaler("cpu")
    one_step(scaler, weight, optimizer)
    scaler.load_state_dict(torch.amp.GradScaler("cpu", init_scale=2.0**20).state_dict())
    one_step(scaler, weight, optimizer)
    assert [(change.scale, change.cause) for change in scaler.scale_changes] == [(2.0**20, "restored")]


def test_the_state_of_a_plain_gradscaler_is_taken_over():
    theirs = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=7)
    scaler = LossScaler("cpu", LossScaling(growth_interval=7))
    scaler.load_state_dict(theirs.state_dict())
    assert scaler.current_scale == 4
    assert scaler.settings.growth_interval == 7


def test_other_growth_settings_in_a_state_win_and_that_is_said(caplog):
    scaler = LossScaler("cpu", LossScaling(growth_interval=5))
    scaler.load_state_dict(LossScaler("cpu", LossScaling(growth_interval=9)).state_dict())
    assert scaler.settings == LossScaling(growth_interval=9)
    assert "growth_interval=9" in caplog.text
    caplog.clear()
    scaler.load_state_dict(LossScaler("cpu", LossScaling(growth_interval=9)).state_dict())
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "was switched off"),
        ({"scaler": {}, "steps": 1, "skips": 0, "low_skips": 0, "history": []}, "was switched off"),
        ({"scale": 1.0}, "it lacks growth_factor"),
        ({**torch.amp.GradScaler("cpu").state_dict(), "scale": float("inf")}, "the saved loss scale is inf"),
        ({**torch.amp.GradScaler("cpu").state_dict(), "scale": 0.0}, "the saved loss scale is 0.0"),
    ],
)
def test_a_state_that_scaling_cannot_go_on_with_is_refused(state, message):
    scaler = LossScaler("cpu")
    with pytest.raises(ValueError, match=message):
        scaler.load_state_dict(state)
    assert scaler.current_scale == 65536


def test_a_reset_scaler_is_as_new():
    weight, optimizer = parameter()
    scaler = LossScaler("cpu", LossScaling(init_scale=64.0))
    one_step(scaler, weight, optimizer, factor=1e38)
    scaler.reset()
    assert scaler.state_dict() == LossScaler("cpu", LossScaling(init_scale=64.0)).state_dict()
    assert not one_step(scaler, weight, optimizer).skipped


def test_a_scale_that_nothing_limits_is_warned_about_once(caplog):
    weight, optimizer = parameter()
    scaler = LossScaler("cpu", LossScaling(init_scale=2.0**39, growth_interval=1))
    for _ in range(4):
        one_step(scaler, weight, optimizer)
    assert len(scaler.scale_changes) == len(scaler.scale_changes) == 4
    assert caplog.text.count("nothing is computed in float16") == 1
