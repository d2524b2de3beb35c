import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader, TensorDataset

from amp_runtime.config import AmpConfig, LossScaling
from amp_runtime.lightning import ObjectiveModule, PrecisionMonitor, amp_trainer
from amp_runtime.objective import classification
from amp_runtime.policy import policy_for
from amp_runtime.precision import Precision
from amp_runtime.step import StepOptions, TrainingStep
from amp_runtime.workloads.encoder import MaskedEncoder, load_paragraphs, smoothed_classification
from tests.amp_runtime.lightning.classifiers import classifier, module, overflowing, same, sgd, weights

SCALING = LossScaling(init_scale=1024.0, growth_interval=4)
CONFIGS = {
    "fp32": AmpConfig(),
    "bf16": AmpConfig(precision=Precision.BF16),
    "fp16": AmpConfig(precision=Precision.FP16, loss_scaling=SCALING),
}


def halving(optimizer):
    return torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)


@pytest.mark.parametrize("name", CONFIGS)
def test_lightning_trains_as_our_own_step_does(name, digits_loaders, quiet):
    ours = classifier()
    optimizer = sgd(ours.parameters())
    step = TrainingStep(ours, optimizer, policy_for(CONFIGS[name]), classification, options=StepOptions(clip_norm=0.5))
    for batch in digits_loaders[0]:
        step.run([tuple(batch)])
    theirs = module()
    amp_trainer(CONFIGS[name], **quiet, max_epochs=1, gradient_clip_val=0.5).fit(theirs, digits_loaders[0])
    # Lightning keeps no autocast cache, so only the order of some sums may differ.
    for left, right in zip(weights(ours), weights(theirs.model), strict=True):
        assert torch.allclose(left, right, atol=1e-6)
    assert not same(weights(ours), weights(classifier()))


def test_a_skipped_step_changes_neither_weights_nor_schedule(digits_loaders, quiet):
    trained = module(overflowing(0, 2), make_scheduler=halving)
    seen = []

    class Watch(PrecisionMonitor):
        def on_train_batch_end(self, trainer, pl_module, *rest):
            super().on_train_batch_end(trainer, pl_module, *rest)
            seen.append((trainer.optimizers[0].param_groups[0]["lr"], weights(pl_module)))

    first = weights(trained)
    amp_trainer(CONFIGS["fp16"], **quiet, max_steps=4, callbacks=[Watch()]).fit(trained, digits_loaders[0])
    assert [lr for lr, _ in seen] == [0.05, 0.025, 0.025, 0.0125]
    assert same(first, seen[0][1])
    assert not same(seen[0][1], seen[1][1])
    assert same(seen[1][1], seen[2][1])


def test_without_loss_scaling_every_step_advances_the_schedule(digits_loaders, quiet):
    trained = module(make_scheduler=halving)
    trainer = amp_trainer(CONFIGS["bf16"], **quiet, max_steps=3)
    trainer.fit(trained, digits_loaders[0])
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.05 / 8)


def test_accumulated_batches_advance_it_once(digits_loaders, quiet):
    trainer = amp_trainer(CONFIGS["fp16"], **quiet, max_steps=2, accumulate_grad_batches=3)
    trainer.fit(module(make_scheduler=halving), digits_loaders[0])
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.05 / 4)


@pytest.mark.parametrize("name", ["fp16", "bf16"])
def test_a_resumed_run_ends_like_an_uninterrupted_one(name, digits_loaders, quiet, tmp_path):
    def run(epochs, *, overflow, checkpoint=None):
        trained, monitor = module(overflowing(overflow), make_scheduler=halving), PrecisionMonitor()
        trainer = amp_trainer(CONFIGS[name], **quiet, max_epochs=epochs, callbacks=[monitor])
        # weights_only: the checkpoint holds tensors and plain data, never code.
        trainer.fit(trained, digits_loaders[0], ckpt_path=checkpoint, weights_only=True if checkpoint else None)
        return trainer, trained, monitor

    overflow = 3 if name == "fp16" else None
    straight, expected, straight_monitor = run(2, overflow=overflow)
    run(1, overflow=overflow)[0].save_checkpoint(tmp_path / "half.ckpt")
    resumed, got, resumed_monitor = run(2, overflow=None, checkpoint=tmp_path / "half.ckpt")
    assert same(weights(expected), weights(got))
    assert straight.precision_plugin.state_dict() == resumed.precision_plugin.state_dict()
    assert straight.optimizers[0].param_groups[0]["lr"] == resumed.optimizers[0].param_groups[0]["lr"]
    assert straight_monitor.skipped_steps == resumed_monitor.skipped_steps == (1 if name == "fp16" else 0)
    assert [record.step for record in resumed_monitor.history] == list(range(8, 16))


def test_the_scaler_really_is_in_the_checkpoint(digits_loaders, quiet, tmp_path):
    trainer = amp_trainer(CONFIGS["fp16"], **quiet, max_steps=5)
    trainer.fit(module(), digits_loaders[0])
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)["MixedPrecision"]
    assert (saved["scale"], saved["_growth_tracker"]) == (2048.0, 1)


class Counting(torch.nn.Linear):
    forwards = 0

    def forward(self, x):
        self.forwards += 1
        return super().forward(x)


@pytest.mark.parametrize("name", CONFIGS)
def test_chosen_modules_are_computed_twice_to_the_same_end(name, digits_loaders, quiet):
    def trained(**settings):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Flatten(), Counting(64, 32), torch.nn.Tanh(), torch.nn.Linear(32, 10))
        made = ObjectiveModule(model, classification, sgd, **settings)
        amp_trainer(CONFIGS[name], **quiet, max_steps=3).fit(made, digits_loaders[0])
        return made

    plain, recomputed = trained(), trained(recomputed=Counting)
    assert (plain.model[1].forwards, recomputed.model[1].forwards) == (3, 6)
    assert same(weights(plain), weights(recomputed))


def test_a_choice_of_no_module_is_refused():
    with pytest.raises(ValueError, match="no module of the model was chosen"):
        module(recomputed=torch.nn.LSTM)


def test_a_model_with_masks_learns_in_fp16(quiet):
    class Losses(PrecisionMonitor):
        def __init__(self):
            super().__init__()
            self.losses = []

        def on_train_batch_end(self, trainer, pl_module, outputs, *rest):
            super().on_train_batch_end(trainer, pl_module, outputs, *rest)
            self.losses.append(outputs["loss"].item())

    torch.manual_seed(0)
    training = TensorDataset(*load_paragraphs("cpu").training)
    trained = ObjectiveModule(
        MaskedEncoder(), smoothed_classification, lambda parameters: torch.optim.AdamW(parameters, lr=1e-2)
    )
    monitor = Losses()
    trainer = amp_trainer(CONFIGS["fp16"], **quiet, max_epochs=2, gradient_clip_val=1.0, callbacks=[monitor])
    shuffled = DataLoader(training, batch_size=32, shuffle=True, generator=torch.Generator().manual_seed(0))
    trainer.fit(trained, shuffled)
    assert sum(monitor.losses[-5:]) < 0.75 * sum(monitor.losses[:5])
    assert monitor.skipped_steps < len(monitor.history) / 4


def test_metrics_are_means_over_examples(digits_loaders, quiet):
    trained = module()
    trainer = amp_trainer(CONFIGS["fp32"], **quiet)
    trainer.validate(trained, digits_loaders[1], verbose=False)
    images, labels = digits_loaders[1].dataset.tensors
    with torch.no_grad():
        outcome = classification(trained.model, (images, labels))
    assert trainer.callback_metrics["validation/loss"] == pytest.approx(outcome.loss.item(), rel=1e-5)
    assert trainer.callback_metrics["validation/accuracy"] == pytest.approx(int(outcome.correct) / 360)


def test_frozen_parameters_are_not_given_to_the_optimizer():
    trained = module()
    trained.model[0].requires_grad_(requires_grad=False)
    optimizer = trained.configure_optimizers()
    assert len(optimizer.param_groups[0]["params"]) == 2


def test_half_precision_weights_are_refused():
    with pytest.raises(ValueError, match=r"0\.weight is torch\.bfloat16; mixed precision keeps its weights in float32"):
        ObjectiveModule(classifier().bfloat16(), classification, sgd)


def test_a_schedule_that_follows_a_metric_is_refused(digits_loaders, quiet):
    trained = module(make_scheduler=torch.optim.lr_scheduler.ReduceLROnPlateau)
    with pytest.raises(ValueError, match="follows a metric"):
        Trainer(accelerator="cpu", **quiet, max_epochs=1).fit(trained, digits_loaders[0])
