"""Programs that look wrong and are right, and wrappers that people put around scalers: nothing is said of them."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from tests.amp_runtime.instrument.rules.saying import said, silent
from tests.amp_runtime.instrument.watching import Program, program


def _turn(made: Program) -> None:
    made.optimizer.zero_grad()
    made.scaler.scale(made.loss()).backward()
    made.scaler.step(made.optimizer)
    made.scaler.update()


_OPTIMIZERS: dict[str, Callable[[Iterable[Any]], torch.optim.Optimizer]] = {
    "SGD": lambda given: torch.optim.SGD(given, lr=0.01, momentum=0.9, weight_decay=1e-4),
    "SGD fused": lambda given: torch.optim.SGD(given, lr=0.01, fused=True),
    "SGD loop": lambda given: torch.optim.SGD(given, lr=0.01, foreach=False),
    "Adam": lambda given: torch.optim.Adam(given, lr=1e-3),
    "AdamW fused": lambda given: torch.optim.AdamW(given, lr=1e-3, fused=True),
    "RMSprop": lambda given: torch.optim.RMSprop(given, lr=1e-3),
}


@pytest.mark.parametrize("name", _OPTIMIZERS)
@pytest.mark.parametrize("clip", [False, True])
def test_optimizers(name: str, clip: bool) -> None:
    made = program(init_scale=2.0**20)
    made.optimizer = _OPTIMIZERS[name](made.model.parameters())

    def train() -> None:
        for _ in range(14):
            made.optimizer.zero_grad(set_to_none=clip)
            for _micro in range(2):
                made.scaler.scale(made.loss() / 2).backward()
            if clip:
                made.scaler.unscale_(made.optimizer)
                nn.utils.clip_grad_norm_(made.model.parameters(), 1.0)
            made.scaler.step(made.optimizer)
            made.scaler.update()

    silent(train, "AMP101")


def test_a_scaler_that_is_off_in_float32_and_bfloat16() -> None:
    made = program()
    made.scaler = torch.amp.GradScaler("cpu", enabled=False)

    def train() -> None:
        for dtype in (torch.bfloat16, torch.float32):
            for _ in range(3):
                made.optimizer.zero_grad()
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
                    loss = made.model(made.inputs).float().pow(2).mean()
                made.scaler.scale(loss).backward()
                made.scaler.unscale_(made.optimizer)
                nn.utils.clip_grad_norm_(made.model.parameters(), 1.0)
                made.scaler.step(made.optimizer)
                made.scaler.update()

    silent(train)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this is about a machine without CUDA")
def test_a_program_for_cuda_on_a_machine_without_it() -> None:
    made = program()

    def train() -> None:
        scaler = torch.cuda.amp.GradScaler()
        for _ in range(3):
            made.optimizer.zero_grad()
            with torch.autocast("cuda"):
                loss = made.model(made.inputs).pow(2).mean()
            scaler.scale(loss).backward()
            scaler.unscale_(made.optimizer)
            nn.utils.clip_grad_norm_(made.model.parameters(), 1.0)
            scaler.step(made.optimizer)
            scaler.update()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not {alarm.code for alarm in said(train).alarms if alarm.code.startswith("AMP1")}


class Combined(torch.amp.GradScaler):
    """Updates itself in its step, and tells whether it skipped."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        before = self.get_scale()
        super().step(optimizer, *args, **kwargs)
        super().update()
        return self.get_scale() >= before


class Native:
    """A scaler as training scripts for images wrap it."""

    def __init__(self) -> None:
        self._scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

    def __call__(self, loss: torch.Tensor, optimizer: Any, parameters: Any, *, update: bool) -> None:
        self._scaler.scale(loss).backward()
        if update:
            self._scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(parameters, 1.0)
            self._scaler.step(optimizer)
            self._scaler.update()


def test_a_subclass_of_the_scaler() -> None:
    made = program()
    made.scaler = Combined("cpu", init_scale=2.0**40)

    def train() -> None:
        for _ in range(4):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            made.scaler.unscale_(made.optimizer)
            nn.utils.clip_grad_norm_(made.model.parameters(), 1.0)
            assert not made.scaler.step(made.optimizer)

    report = said(train)
    assert (report.alarms, report.watched.steps, report.watched.skipped_steps) == ((), 4, 4)


def test_a_wrapper_of_the_scaler() -> None:
    made, native = program(), Native()

    def train() -> None:
        for i in range(6):
            native(made.loss() / 2, made.optimizer, made.model.parameters(), update=i % 2 == 1)
            if i % 2:
                made.optimizer.zero_grad()

    silent(train, "AMP103")


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed_activations(reentrant: bool) -> None:
    made = program()
    made.inputs.requires_grad_()

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                out = checkpoint(made.model, made.inputs, use_reentrant=reentrant)
            made.scaler.scale(out.float().pow(2).mean()).backward()
            made.scaler.unscale_(made.optimizer)
            nn.utils.clip_grad_norm_(made.model.parameters(), 1.0)
            made.scaler.step(made.optimizer)
            made.scaler.update()

    silent(train)


def test_accumulation_and_validation_in_one_context_each() -> None:
    made = program()

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                losses = [made.model(made.inputs).float().pow(2).mean() for _ in range(2)]
            for loss in losses:
                made.scaler.scale(loss / 2).backward()
            made.scaler.step(made.optimizer)
            made.scaler.update()
        made.model.eval()
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.float16):
            for _ in range(3):
                made.model(made.inputs)

    silent(train)


def test_gradients_that_are_read_after_the_step() -> None:
    made = program()
    made.optimizer = torch.optim.AdamW(made.model.parameters(), lr=1e-3, fused=True)
    seen: list[float] = []

    def train() -> None:
        for _ in range(3):
            _turn(made)
            seen.extend(float(one.grad.norm()) for one in made.model.parameters() if one.grad is not None)

    silent(train)
    assert max(seen) < 100


def test_unscaling_without_clipping_and_a_step_that_is_left_out() -> None:
    made = program()

    def train() -> None:
        for i in range(5):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            made.scaler.unscale_(made.optimizer)
            norm = nn.utils.get_total_norm([one.grad for one in made.model.parameters() if one.grad is not None])
            if i != 2 and torch.isfinite(norm):
                made.scaler.step(made.optimizer)
            made.scaler.update()

    silent(train)


def test_a_closure_without_a_scaler() -> None:
    made = program()
    optimizer = torch.optim.LBFGS(made.model.parameters(), lr=0.1)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = made.loss(torch.bfloat16)
        loss.backward()
        return loss

    silent(lambda: [optimizer.step(closure) for _ in range(3)])


def test_accelerate_trains_in_float32_on_a_cpu(tmp_path: Path) -> None:
    accelerate = pytest.importorskip("accelerate")
    made = program()

    def train() -> None:
        accelerator = accelerate.Accelerator(mixed_precision="fp16", cpu=True)
        model, optimizer = accelerator.prepare(made.model, made.optimizer)
        for _ in range(3):
            optimizer.zero_grad()
            loss = model(made.inputs).float().pow(2).mean()
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)  # it is one for the whole process
    try:
        report = said(train)
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
    assert [alarm for alarm in report.alarms if alarm.code.startswith("AMP1")] == []
    assert report.watched.steps == 3


def test_lightning_with_a_scaler(tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning")
    from lightning.pytorch.plugins.precision import MixedPrecision

    made = program()

    class Module(lightning.LightningModule):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model = made.model

        def training_step(self, batch: list[torch.Tensor], _index: int) -> torch.Tensor:
            return nn.functional.mse_loss(self.model(batch[0]).float(), batch[1])

        def configure_optimizers(self) -> dict[str, Any]:
            optimizer = torch.optim.Adam(self.parameters(), lr=1e-3)
            return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1)}

    def train() -> None:
        precision = MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=256.0))
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=2,
            plugins=[precision],
            gradient_clip_val=0.5,
            accumulate_grad_batches=2,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )
        data = torch.utils.data.TensorDataset(torch.randn(16, 8), torch.randn(16, 1))
        trainer.fit(Module(), torch.utils.data.DataLoader(data, batch_size=4))

    report = said(train)
    assert report.alarms == ()
    assert (report.watched.scalers, report.watched.steps) == (1, 4)


def test_one_loss_of_several_networks_and_scalers() -> None:
    first, second = program(), program(adam=True)

    def train() -> None:
        for _ in range(3):
            for made in (first, second):
                _turn(made)
            first.optimizer.zero_grad()
            second.optimizer.zero_grad()
            total = functools.reduce(torch.add, [first.loss(), second.loss()])
            first.scaler.scale(total).backward()
            first.scaler.step(first.optimizer)
            first.scaler.step(second.optimizer)
            first.scaler.update()

    silent(train)
