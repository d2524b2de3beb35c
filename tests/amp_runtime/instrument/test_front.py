"""What a user of the sanitizer sees: text, a trace, figures for a tracker, a picture, and two callbacks."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from amp_runtime.instrument.catalogue import RULES
from amp_runtime.instrument.faults import Plan
from amp_runtime.instrument.sanitizer import Sanitizer, amp_sanitizer
from stages.logic.stage import STAGE
from tests.amp_runtime.instrument.watching import Program, program


def clipping_too_early(made: Program, steps: int = 4) -> None:
    for _ in range(steps):
        made.optimizer.zero_grad()
        made.scaler.scale(made.loss()).backward()
        torch.nn.utils.clip_grad_norm_(made.model.parameters(), 0.5)
        made.scaler.step(made.optimizer)
        made.scaler.update()


def test_names_and_severities_are_those_of_the_rules() -> None:
    rules = {rule.code: (rule.name, rule.severity.name) for rule in STAGE.rules if rule.code.startswith("AMP")}
    assert {code: (known.name, known.severity) for code, known in RULES.items()} == rules


def test_the_text_says_what_where_why_and_what_to_do() -> None:
    with amp_sanitizer() as watching:
        clipping_too_early(program())
    text = watching.summary()
    assert text.startswith("AMP sanitizer: 1 alarm in 4 training steps; cpu float16 (4 regions); 1 scaler.")
    assert "CRITICAL AMP103 clip-before-unscale (4 times in steps 1 to 4)" in text
    assert "test_front.py:" in text
    assert "-> Call scaler.unscale_(optimizer)" in text


def test_a_run_without_a_step_claims_nothing() -> None:
    with amp_sanitizer() as watching:
        program()
    assert watching.summary().endswith("No training step was seen, so nothing is shown.")


def test_the_trace_has_every_event_in_order(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    with Sanitizer(trace=path, faults=Plan(overflow_at=2, nan_batch_at=None)):
        clipping_too_early(program())
    records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    order = [
        "GradsZeroed", "AutocastEntered", "AutocastExited", "LossScaled", "BackwardStarting", "BackwardDone",
        "Clipping", "ScalerStepping", "Unscaling", "Unscaled", "ScalerStepped", "ScalerUpdated", "StepEnded",
    ]  # fmt: skip
    assert [record["event"] for record in records if record["step"] == 2 and record["event"] in order] == order
    assert {record.get("planted") for record in records if record["event"] == "StepEnded"} == {None, "overflow"}
    (entered,) = [record for record in records if record["event"] == "AutocastEntered" and record["step"] == 1]
    assert (entered["device"], entered["dtype"], entered["nesting"]) == ("cpu", "float16", 1)


def test_a_trace_that_cannot_be_written_is_said_before_anything_is_patched(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        Sanitizer(trace=tmp_path / "missing" / "trace.jsonl").start()
    with amp_sanitizer():
        pass


class Figures:
    """A tracker that keeps what it gets, and breaks when told to."""

    def __init__(self, *, breaks_at: int = 0) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []
        self._breaks_at = breaks_at

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if step == self._breaks_at:
            raise ConnectionError("gone")
        self.rows.append((step, dict(values)))


def test_a_tracker_gets_figures_of_every_step() -> None:
    figures = Figures()
    with Sanitizer(tracker=figures, faults=Plan(overflow_at=2, nan_batch_at=None)):
        clipping_too_early(program())
    assert [step for step, _values in figures.rows] == [1, 2, 3, 4]
    assert [values["amp/loss_scale"] for _step, values in figures.rows] == [1024.0, 512.0, 512.0, 512.0]
    assert figures.rows[-1][1]["amp/alarms"] == 1.0
    assert figures.rows[-1][1]["amp/skipped_steps"] == 0.0


def test_a_tracker_that_breaks_costs_no_training() -> None:
    figures = Figures(breaks_at=2)
    with Sanitizer(tracker=figures) as watching:
        clipping_too_early(program())
    assert len(figures.rows) == 1
    assert watching.report().watched.steps == 4
    assert any("Figures failed" in problem for problem in watching.report().problems)


def test_tensorboard_gets_the_figures(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from amp_runtime.trackers.tensorboard_events import TensorBoardTracker

    tracker = TensorBoardTracker(tmp_path)
    with Sanitizer(tracker=tracker):
        clipping_too_early(program())
    tracker.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [event.value for event in events.Scalars("amp/loss_scale")] == [1024.0] * 4


def test_the_picture_shows_loss_and_scale(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from amp_runtime.instrument.plots import plot_timeline

    with Sanitizer(faults=Plan(overflow_at=2, nan_batch_at=3)) as watching:
        clipping_too_early(program())
    figure = plot_timeline(watching.report())
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "loss scale"]
    figure.savefig(tmp_path / "timeline.svg")
    assert (tmp_path / "timeline.svg").stat().st_size > 2000


class Rows(torch.utils.data.Dataset[Any]):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        return {"input_ids": torch.arange(8), "labels": torch.arange(8)}


def test_the_callback_for_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from amp_runtime.huggingface import AmpSanitizerCallback

    sizes = {"n_layer": 1, "n_head": 2, "n_embd": 8, "vocab_size": 17, "n_positions": 8}
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, bos_token_id=0, eos_token_id=1))
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path), max_steps=3, per_device_train_batch_size=2, bf16=True, use_cpu=True,
        report_to=[], save_strategy="no", disable_tqdm=True, logging_strategy="no",
        dataloader_pin_memory=False,
    )  # fmt: skip
    watching = AmpSanitizerCallback()
    with pytest.raises(RuntimeError, match="no report yet"):
        _ = watching.report
    transformers.Trainer(model=model, args=arguments, train_dataset=Rows(), callbacks=[watching]).train()
    assert (watching.report.watched.steps, watching.report.alarms) == (3, ())
    with amp_sanitizer():
        pass


@pytest.mark.filterwarnings("ignore")  # Lightning's own
@pytest.mark.parametrize("fails", [False, True])
def test_the_callback_for_lightning(tmp_path: Path, caplog: pytest.LogCaptureFixture, fails: bool) -> None:
    lightning = pytest.importorskip("lightning.pytorch")
    from amp_runtime.lightning.sanitizer import AmpSanitizer

    class Module(lightning.LightningModule):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(8, 1)

        def training_step(self, batch: Any, number: int) -> torch.Tensor:
            if fails and number == 2:
                raise ArithmeticError("by the program")
            return nn.functional.mse_loss(self.net(batch[0]).float(), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.01)

    watching = AmpSanitizer()
    trainer = lightning.Trainer(
        max_steps=4, precision="bf16-mixed", accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path, callbacks=[watching],
    )  # fmt: skip
    data = torch.utils.data.TensorDataset(torch.randn(8, 8), torch.randn(8, 1))
    with caplog.at_level(logging.INFO, "amp_runtime.lightning.sanitizer"):
        if fails:
            with pytest.raises(ArithmeticError):
                trainer.fit(Module(), torch.utils.data.DataLoader(data, batch_size=2))
        else:
            trainer.fit(Module(), torch.utils.data.DataLoader(data, batch_size=2))
    assert watching.report.watched.steps == (2 if fails else 4)
    assert "AMP sanitizer: no alarm" in caplog.text
    with amp_sanitizer():
        pass
