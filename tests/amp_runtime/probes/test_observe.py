"""What the harness hears of autocast and loss scaling, told by loops that do it right and loops that do not."""

import pytest
import torch
from torch import nn

from amp_runtime.probes.observe import Watch


class Loop:
    """A training loop as people write it, with one thing wrong where `wrong` names it."""

    def __init__(self, dtype=None, scaler=None, wrong=""):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.dtype, self.scaler, self.wrong = dtype, scaler, wrong
        self.loss_scales = []

    def step(self):
        self.optimizer.zero_grad()
        with torch.autocast("cpu", dtype=self.dtype, enabled=self.dtype is not None and self.wrong != "no autocast"):
            output = self.model(torch.ones(2, 4))
        loss = output.float().square().mean()
        if self.scaler is None:
            loss.backward()
            self.optimizer.step()
            return loss.item()
        self.loss_scales.append(self.scaler.get_scale())
        scaled = self.scaler.scale(loss)
        # verify: allow[AMP105] the mistake is there to be noticed
        (loss if self.wrong == "backward of the unscaled" else scaled).backward()
        self.scaler.step(self.optimizer)  # verify: allow[AMP108] as above, where `update` is left out
        if self.wrong != "no update":
            self.scaler.update()
        return loss.item()


def watched(loop, steps=3):
    watch = Watch("cpu")
    with watch.installed():
        for _ in range(steps):
            with watch.step():
                loop.step()
    return watch.observed(loop)


def fp16(wrong="", **settings):
    return Loop(torch.float16, torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=2, **settings), wrong)


def test_a_loop_in_fp32_shows_modules_and_no_autocast():
    seen = watched(Loop())
    assert (seen.steps, seen.with_modules, seen.under_autocast, seen.scaled) == (3, 3, {}, 0)
    assert seen.logged == ()


def test_autocast_is_told_with_its_dtype():
    assert watched(Loop(torch.bfloat16)).under_autocast == {"bfloat16": 3}
    assert watched(Loop(torch.bfloat16, wrong="no autocast")).under_autocast == {}


def test_a_correct_fp16_loop_scales_every_loss_and_logs_what_was_seen():
    seen = watched(fp16())
    assert (seen.scaled, seen.from_scale, seen.otherwise) == (3, 3, 0)
    assert (seen.scaler_steps, seen.scaler_updates) == (3, 3)
    assert seen.scales == seen.logged == (256.0, 256.0, 512.0)


def test_a_backward_past_the_scaled_loss_is_noticed():
    seen = watched(fp16("backward of the unscaled"))
    assert (seen.scaled, seen.from_scale, seen.otherwise) == (3, 0, 3)


def test_a_missing_update_is_noticed():
    seen = watched(fp16("no update"), steps=1)
    assert (seen.scaler_steps, seen.scaler_updates) == (1, 0)


def test_a_disabled_scaler_scales_nothing():
    seen = watched(fp16(enabled=False))
    assert (seen.scaled, seen.scaler_steps, seen.scales) == (0, 0, ())


def test_micro_batches_count_each_and_the_step_has_one_scale():
    loop = fp16()
    watch = Watch("cpu")
    with watch.installed(), watch.step():
        for _ in range(3):
            loop.scaler.scale(loop.model(torch.ones(2, 4)).float().mean() / 3).backward()
    seen = watch.observed(loop)
    assert (seen.scaled, seen.from_scale, seen.scales) == (3, 3, (256.0,))


def test_watching_changes_no_number_and_leaves_nothing_behind():
    alone, heard = fp16(), fp16()
    expected = [alone.step() for _ in range(3)]
    originals = [getattr(torch.amp.GradScaler, name) for name in ("scale", "step", "update")]
    watch = Watch("cpu")
    losses = []
    with watch.installed():
        for _ in range(3):
            with watch.step():
                losses.append(heard.step())
    assert losses == expected
    assert [getattr(torch.amp.GradScaler, name) for name in ("scale", "step", "update")] == originals
    heard.step()
    assert watch.observed(heard).scaled == 3


@pytest.mark.parametrize("scales", [None, "4096", ["a"], 7])
def test_what_is_no_log_is_none(scales):
    loop = Loop()
    loop.loss_scales = scales
    assert watched(loop).logged is None
