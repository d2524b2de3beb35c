import csv
import logging
from pathlib import Path

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger

from amp_runtime.config import AmpConfig, LossScaling
from amp_runtime.lightning import PrecisionMonitor, amp_trainer
from amp_runtime.precision import Precision
from amp_runtime.scaling import ScaleCollapseError
from tests.amp_runtime.lightning.classifiers import module, overflowing

BF16 = AmpConfig(precision=Precision.BF16)


def fp16(**scaling):
    return AmpConfig(precision=Precision.FP16, loss_scaling=LossScaling(**{"init_scale": 1024.0, **scaling}))


def train(config, loader, quiet, *, objective=None, monitor=None, make_optimizer=None, **options):
    monitor = monitor or PrecisionMonitor()
    settings = {} if make_optimizer is None else {"make_optimizer": make_optimizer}
    trained = module(objective, **settings) if objective else module(**settings)
    trainer = amp_trainer(config, **{**quiet, "callbacks": [monitor], **options})
    trainer.fit(trained, loader)
    return monitor, trainer


def test_it_records_scale_skips_and_norm_of_each_step(digits_loaders, quiet):
    monitor, _ = train(fp16(growth_interval=3), digits_loaders[0], quiet, objective=overflowing(2), max_epochs=1)
    assert monitor.precision == "fp16"
    assert [record.scale for record in monitor.history] == [1024, 1024, 1024, 512, 512, 512, 1024, 1024]
    assert [record.skipped for record in monitor.history] == [False, False, True, *[False] * 5]
    assert monitor.skipped_steps == 1
    finite = [record.grad_norm for record in monitor.history if not record.skipped]
    assert all(0 < norm < 100 for norm in finite)
    assert not torch.isfinite(torch.tensor(monitor.history[2].grad_norm))


def test_the_norm_is_that_of_true_gradients_before_clipping(digits_loaders, quiet):
    plain, _ = train(AmpConfig(), digits_loaders[0], quiet, max_steps=2)
    scaled, _ = train(fp16(), digits_loaders[0], quiet, max_steps=2, gradient_clip_val=0.01)
    assert scaled.history[0].grad_norm == pytest.approx(plain.history[0].grad_norm, rel=1e-2)
    assert plain.history[0].grad_norm > 0.1


def fused_sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.05, fused=True)


def test_fused_optimizers_are_measured_unscaled_and_their_skips_are_seen(digits_loaders, quiet):
    plain, _ = train(AmpConfig(), digits_loaders[0], quiet, max_steps=1)
    monitor, _ = train(
        fp16(), digits_loaders[0], quiet, objective=overflowing(1), make_optimizer=fused_sgd, max_steps=3
    )
    assert monitor.history[0].grad_norm == pytest.approx(plain.history[0].grad_norm, rel=1e-2)
    assert [record.skipped for record in monitor.history] == [False, True, False]
    assert [record.scale for record in monitor.history] == [1024, 1024, 512]


def test_without_loss_scaling_there_is_no_scale_and_no_skip(digits_loaders, quiet):
    monitor, trainer = train(BF16, digits_loaders[0], quiet, max_steps=3)
    assert monitor.precision == "bf16"
    assert {(record.scale, record.skipped) for record in monitor.history} == {(None, False)}
    assert "amp/loss_scale" not in trainer.callback_metrics
    assert trainer.callback_metrics["amp/skipped_steps"] == 0


def test_batches_that_only_accumulate_are_no_steps(digits_loaders, quiet):
    monitor, _ = train(fp16(), digits_loaders[0], quiet, max_epochs=1, accumulate_grad_batches=3)
    assert [record.step for record in monitor.history] == [0, 1, 2]


def test_loggers_get_numbers_and_the_precision_as_a_hyper_parameter(digits_loaders, quiet, tmp_path, caplog):
    logger = CSVLogger(tmp_path, name="run")
    with caplog.at_level(logging.INFO, logger="amp_runtime.lightning.monitor"):
        train(
            fp16(), digits_loaders[0], quiet, objective=overflowing(1), max_steps=4, logger=logger, log_every_n_steps=1
        )
    assert "effective precision: fp16" in caplog.text
    written = Path(logger.log_dir)
    rows = list(csv.DictReader((written / "metrics.csv").read_text("utf-8").splitlines()))
    assert [float(row["amp/loss_scale"]) for row in rows] == [1024, 1024, 512, 512]
    assert [float(row["amp/skipped_steps"]) for row in rows] == [0, 1, 1, 1]
    assert float(rows[0]["amp/grad_norm"]) > 0
    assert "effective_precision: fp16" in (written / "hparams.yaml").read_text("utf-8")


def test_a_collapsed_scale_stops_the_run(digits_loaders, quiet):
    with pytest.raises(ScaleCollapseError, match="3 steps were skipped with a scale below 1"):
        train(
            fp16(init_scale=1.5),
            digits_loaders[0],
            quiet,
            objective=overflowing(*range(100)),
            monitor=PrecisionMonitor(collapse_patience=3),
            max_epochs=1,
        )


def test_an_impossible_patience_is_refused():
    with pytest.raises(ValueError, match="at least 1, not 0"):
        PrecisionMonitor(collapse_patience=0)


def test_an_optimizer_is_watched_no_longer_than_the_run(digits_loaders, quiet):
    _, trainer = train(fp16(), digits_loaders[0], quiet, max_steps=1)
    assert len(trainer.optimizers[0]._optimizer_step_post_hooks) == 0
