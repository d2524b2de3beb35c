"""AMP504 to 508: trainings under Accelerate, Fabric and Lightning that go past them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.amp_runtime.instrument.rules.saying import only_alarm, silent
from tests.amp_runtime.instrument.watching import Program, program


@pytest.fixture(autouse=True)
def _warnings_of_frameworks() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _accelerated() -> tuple[Any, Program]:
    """Accelerate refuses float16 on a CPU; with a scaler of the CPU put into it, it works as it does on a GPU."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)  # it is one for the process, whatever tests ran before
    made = program()
    accelerator = Accelerator(cpu=True)
    accelerator.scaler = made.scaler
    made.model, made.optimizer = accelerator.prepare(made.model, made.optimizer)
    return accelerator, made


def test_a_raw_backward_beside_accelerate() -> None:
    _accelerator, made = _accelerated()

    def train() -> None:
        made.loss().backward()
        made.optimizer.step()

    only_alarm(train, "AMP504", "made.loss().backward()")


def test_a_raw_backward_beside_accelerate_after_a_right_one() -> None:
    accelerator, made = _accelerated()

    def train() -> None:
        accelerator.backward(made.loss())
        made.optimizer.step()
        made.optimizer.zero_grad()
        made.loss().backward()
        made.optimizer.step()

    alarm = only_alarm(train, "AMP504", "made.loss().backward()")
    assert (alarm.step, alarm.values) == (2, {"scale": 1024.0})


def test_torchs_clipping_beside_accelerate() -> None:
    accelerator, made = _accelerated()

    def train() -> None:
        accelerator.backward(made.loss())
        torch.nn.utils.clip_grad_norm_(made.model.parameters(), 1.0)
        made.optimizer.step()

    alarm = only_alarm(train, "AMP505", "clip_grad_norm_")
    assert alarm.values["true_norm"] == pytest.approx(alarm.values["norm"] / 1024)


def test_accelerates_own_backward_and_clipping_are_fine() -> None:
    accelerator, made = _accelerated()

    def train() -> None:
        for _ in range(2):
            accelerator.backward(made.loss())
            made.scaler.unscale_(made.optimizer.optimizer)
            accelerator.clip_grad_norm_(made.model.parameters(), 1.0)
            made.optimizer.step()
            made.optimizer.zero_grad()

    silent(train, "AMP505")


def _fit(module: Any, made: Program) -> None:
    from lightning.pytorch import Trainer
    from lightning.pytorch.plugins.precision import MixedPrecision

    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        plugins=[MixedPrecision("16-mixed", "cpu", scaler=made.scaler)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    data = torch.utils.data.TensorDataset(made.inputs, made.targets)
    trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=2))


def _module(made: Program, *, manual: bool) -> Any:
    from lightning.pytorch import LightningModule

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = made.model
            self.automatic_optimization = not manual

        def loss(self, batch: Any) -> torch.Tensor:
            return torch.nn.functional.mse_loss(self.net(batch[0]).float(), batch[1])

        def training_step(self, batch: Any, _index: int) -> torch.Tensor:
            return self.loss(batch)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.01)

    return Module


def test_clipping_in_manual_optimization() -> None:
    made = program()

    class Manual(_module(made, manual=True)):  # type: ignore[misc]
        def training_step(self, batch: Any, _index: int) -> None:
            optimizer = self.optimizers()
            self.manual_backward(self.loss(batch))
            self.clip_gradients(optimizer, gradient_clip_val=0.5)
            optimizer.step()
            optimizer.zero_grad()

    alarm = only_alarm(lambda: _fit(Manual(), made), "AMP506", "self.clip_gradients", within=Manual)
    assert alarm.values["scale"] == 1024.0


def test_a_raw_backward_in_manual_optimization() -> None:
    made = program()

    class Manual(_module(made, manual=True)):  # type: ignore[misc]
        def training_step(self, batch: Any, _index: int) -> None:
            optimizer = self.optimizers()
            self.loss(batch).backward()
            optimizer.step()

    only_alarm(lambda: _fit(Manual(), made), "AMP507", "backward()", within=Manual)


def test_a_hook_that_reads_scaled_gradients() -> None:
    made = program()

    class Logging(_module(made, manual=False)):  # type: ignore[misc]
        def on_after_backward(self) -> None:
            self.norms = [parameter.grad.norm() for parameter in self.parameters()]

    alarm = only_alarm(lambda: _fit(Logging(), made), "AMP508", "parameter.grad.norm()", within=Logging)
    assert alarm.values == {"scale": 1024.0}


def test_lightnings_own_loop_and_hooks_are_fine() -> None:
    made = program()

    class Right(_module(made, manual=True)):  # type: ignore[misc]
        def training_step(self, batch: Any, _index: int) -> None:
            optimizer = self.optimizers()
            self.manual_backward(self.loss(batch))
            self.trainer.precision_plugin.scaler.unscale_(optimizer.optimizer)
            torch.nn.utils.clip_grad_norm_(self.parameters(), 1.0)
            self.trainer.precision_plugin.scaler.step(optimizer.optimizer)
            self.trainer.precision_plugin.scaler.update()
            optimizer.zero_grad()

        def on_after_backward(self) -> None:
            self.seen = True

        def on_before_optimizer_step(self, optimizer: Any) -> None:
            self.norms = [parameter.grad.norm() for parameter in self.parameters()]

    silent(lambda: _fit(Right(), made), "AMP506")
    automatic = _module(made, manual=False)
    silent(lambda: _fit(automatic(), made))


def test_a_raw_backward_and_clipping_beside_fabric() -> None:
    from lightning.fabric import Fabric
    from lightning.fabric.plugins.precision import MixedPrecision

    made = program()
    plugin = MixedPrecision("16-mixed", "cpu", scaler=made.scaler)
    fabric = Fabric(accelerator="cpu", plugins=[plugin])
    model, optimizer = fabric.setup(made.model, made.optimizer)

    def clip() -> None:
        fabric.backward(model(made.inputs).float().mean())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    only_alarm(clip, "AMP505", "clip_grad_norm_")

    def right() -> None:
        for _ in range(2):
            fabric.backward(model(made.inputs).float().mean())
            fabric.clip_gradients(model, optimizer, max_norm=1.0, error_if_nonfinite=False)
            optimizer.step()
            optimizer.zero_grad()

    silent(right, "AMP505")
