"""After a hundred steps like each other, four of five are only heard of: their end, their skips and the loss scale."""

from __future__ import annotations

from pathlib import Path

import torch

from amp_runtime.instrument.sanitizer import Sanitizer
from tests.amp_runtime.instrument.watching import Program, program


def step(made: Program, *, clips: bool = False, overflows: bool = False) -> None:
    made.optimizer.zero_grad()
    made.scaler.scale(made.loss()).backward()
    if overflows:
        made.model[0].weight.grad.fill_(torch.inf)
    if clips:
        torch.nn.utils.clip_grad_norm_(made.model.parameters(), 1.0)
    made.scaler.step(made.optimizer)
    made.scaler.update()


def test_rested_steps_are_counted_and_keep_the_loss_scale() -> None:
    made = program()
    with Sanitizer() as watching:
        for _ in range(160):
            step(made)
    report = watching.report()
    assert (report.watched.steps, report.alarms, report.problems) == (160, (), ())
    assert report.watched.rested_steps == 48  # four of five of 60
    assert report.watched.backwards == 112
    assert [seen.step for seen in report.timeline] == list(range(1, 161))
    assert {seen.scale for seen in report.timeline} == {1024.0}
    assert "160 training steps, 48 of them only for the loss scale" in watching.summary()


def test_a_hazard_that_begins_late_is_found_with_its_line() -> None:
    made = program()
    with Sanitizer() as watching:
        for number in range(160):
            step(made, clips=number > 130)
    (alarm,) = watching.report().alarms
    assert alarm.code == "AMP103"
    assert alarm.frames[-1].function == "step"


def test_a_skipped_step_is_seen_and_ends_the_rest() -> None:
    made = program()
    with Sanitizer() as watching:
        for number in range(1, 200):
            step(made, overflows=number == 122)
    report = watching.report()
    assert report.watched.skipped_steps == 1
    assert [seen.step for seen in report.timeline if seen.skipped] == [122]
    assert report.watched.rested_steps == 18  # of the steps 101 to 122 alone


def test_a_region_around_the_loop_is_never_rested_in() -> None:
    made = program()
    with Sanitizer() as watching, torch.autocast("cpu", dtype=torch.float16, cache_enabled=False):
        for _ in range(130):
            step(made)
    assert watching.report().watched.rested_steps == 0


def test_a_trace_has_every_step(tmp_path: Path) -> None:
    made = program()
    with Sanitizer(trace=tmp_path / "trace.jsonl") as watching:
        for _ in range(130):
            step(made)
    assert watching.report().watched.rested_steps == 0


def test_steps_without_a_scaler_rest_too() -> None:
    made = program()
    with Sanitizer() as watching:
        for _ in range(130):
            made.optimizer.zero_grad()
            made.loss().backward()
            made.optimizer.step()
    report = watching.report()
    assert (report.watched.steps, report.watched.rested_steps) == (130, 24)


def test_no_number_changes() -> None:
    plain, watched = program(adam=True), program(adam=True)
    for _ in range(130):
        step(plain)
    with Sanitizer():
        for _ in range(130):
            step(watched)
    for one, other in zip(plain.model.parameters(), watched.model.parameters(), strict=True):
        assert torch.equal(one, other)
