"""Steps are found and healthy training is silent under the trainers that people use, unmodified."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.amp_runtime.instrument.watching import line_of, program, watch

pytestmark = pytest.mark.filterwarnings("ignore")  # the frameworks' own


def data(count: int = 16) -> torch.utils.data.TensorDataset:
    torch.manual_seed(0)
    return torch.utils.data.TensorDataset(torch.randn(count, 8), torch.randn(count, 1))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))


@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true", "16-mixed"])
def test_lightning(precision: str, tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning.pytorch")

    class Module(lightning.LightningModule):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def training_step(self, batch: Any, _number: int) -> torch.Tensor:
            inputs, targets = batch
            return nn.functional.mse_loss(self.net(inputs).float(), targets)

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.SGD(self.parameters(), lr=0.01)
            scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def train() -> None:
        trainer = lightning.Trainer(
            max_steps=6,
            precision=precision,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            gradient_clip_val=1.0,
            default_root_dir=tmp_path,
        )
        trainer.fit(Module(), torch.utils.data.DataLoader(data(), batch_size=2))

    report = watch(train)
    assert (report.alarms, report.problems) == ((), ())
    assert (report.watched.steps, report.watched.backwards) == (6, 6)
    assert report.watched.autocast == ({} if precision == "32-true" else {"cpu bfloat16": 6})


@pytest.mark.parametrize("raises", [False, True])
def test_fabric_with_a_scaler(raises: bool) -> None:
    fabric_module = pytest.importorskip("lightning.fabric")
    from lightning.fabric.plugins.precision import MixedPrecision

    options = {} if raises else {"error_if_nonfinite": False}  # Fabric's own choice is True: an overflow would raise

    def train() -> None:
        precision = MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=256.0))
        fabric = fabric_module.Fabric(accelerator="cpu", devices=1, plugins=precision)
        model = network()
        model, optimizer = fabric.setup(model, torch.optim.SGD(model.parameters(), lr=0.01))
        loader = fabric.setup_dataloaders(torch.utils.data.DataLoader(data(), batch_size=4))
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(inputs).float(), targets)
            fabric.backward(loss)
            fabric.clip_gradients(model, optimizer, max_norm=1.0, **options)
            optimizer.step()

    report = watch(train)
    assert [alarm.code for alarm in report.alarms] == ["AMP140"] * raises
    line = line_of(train, "fabric.clip_gradients")
    assert all(any((one.path, one.line) == (__file__, line) for one in alarm.frames) for alarm in report.alarms)
    assert report.problems == ()
    assert (report.watched.steps, report.watched.scalers) == (4, 1)


def test_accelerate() -> None:
    accelerate = pytest.importorskip("accelerate")

    def train() -> None:
        accelerator = accelerate.Accelerator(mixed_precision="bf16", cpu=True, gradient_accumulation_steps=2)
        model = network()
        parts = model, torch.optim.AdamW(model.parameters()), torch.utils.data.DataLoader(data(), batch_size=2)
        model, optimizer, loader = accelerator.prepare(*parts)
        for inputs, targets in loader:
            with accelerator.accumulate(model):
                loss = nn.functional.mse_loss(model(inputs).float(), targets)
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()

    report = watch(train)
    assert (report.alarms, report.problems) == ((), ())
    assert (report.watched.backwards, report.watched.steps) == (8, 4)


def test_the_trainer_of_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")

    def train() -> None:
        sizes = {"n_layer": 1, "n_head": 2, "n_embd": 8, "vocab_size": 17, "n_positions": 8}
        model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, bos_token_id=0, eos_token_id=1))
        rows = [{"input_ids": torch.arange(8), "labels": torch.arange(8)} for _ in range(8)]
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path), max_steps=4, per_device_train_batch_size=2, bf16=True, use_cpu=True,
            report_to=[], save_strategy="no", disable_tqdm=True, logging_strategy="no",
        )  # fmt: skip
        transformers.Trainer(model=model, args=arguments, train_dataset=rows).train()

    report = watch(train)
    assert (report.alarms, report.problems) == ((), ())
    assert report.watched.steps == 4
    assert report.watched.autocast["cpu bfloat16"] >= 4


def test_a_compiled_model() -> None:
    made = program()
    made.model = torch.compile(made.model, backend="aot_eager")  # type: ignore[assignment]

    def train() -> None:
        for _ in range(4):
            made.optimizer.zero_grad()
            made.scaler.scale(made.loss()).backward()
            made.scaler.step(made.optimizer)
            made.scaler.update()

    report = watch(train)
    assert (report.alarms, report.problems, report.watched.steps) == ((), (), 4)


def test_distributed_data_parallel() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=0, world_size=1)
    try:
        made = program()
        made.model = nn.parallel.DistributedDataParallel(made.model)

        def train() -> None:
            for _ in range(3):
                made.optimizer.zero_grad()
                with made.model.no_sync():
                    made.scaler.scale(made.loss() / 2).backward()
                made.scaler.scale(made.loss() / 2).backward()
                made.scaler.unscale_(made.optimizer)
                nn.utils.clip_grad_norm_(made.model.parameters(), 1.0)
                made.scaler.step(made.optimizer)
                made.scaler.update()

        report = watch(train)
    finally:
        torch.distributed.destroy_process_group()
    assert (report.alarms, report.problems, report.watched.steps) == ((), (), 3)


@pytest.mark.parametrize("unscaled", [True, False])
@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing(reentrant: bool, unscaled: bool) -> None:
    made = program()
    model = made.model
    inputs = made.inputs.requires_grad_()

    def train() -> None:
        for _ in range(3):
            made.optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.float16):
                out = torch.utils.checkpoint.checkpoint(model, inputs, use_reentrant=reentrant)
                loss = nn.functional.mse_loss(out.float(), made.targets)
            made.scaler.scale(loss).backward()
            if unscaled:
                made.scaler.unscale_(made.optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            made.scaler.step(made.optimizer)
            made.scaler.update()

    report = watch(train)
    assert [alarm.code for alarm in report.alarms] == ([] if unscaled else ["AMP103"])
    assert report.watched.steps == 3
