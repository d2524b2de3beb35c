import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.strategies import SingleDeviceStrategy

from amp_runtime.config import AmpConfig, LossScaling
from amp_runtime.lightning import amp_trainer, trainer_options, trainer_precision
from amp_runtime.objective import classification
from amp_runtime.precision import Precision
from tests.amp_runtime.lightning.classifiers import module

FP32 = AmpConfig()
BF16 = AmpConfig(precision=Precision.BF16)
FP16 = AmpConfig(precision=Precision.FP16, loss_scaling=LossScaling(init_scale=512.0, growth_interval=3))


def test_fp32_and_bf16_are_the_trainers_own_strings():
    assert trainer_options(FP32) == {"accelerator": "cpu", "devices": 1, "precision": "32-true"}
    assert trainer_options(BF16) == {"accelerator": "cpu", "devices": 1, "precision": "bf16-mixed"}


def test_fp16_brings_a_scaler_with_the_configured_loss_scaling():
    options = trainer_options(FP16)
    assert options.keys() == {"accelerator", "devices", "plugins"}
    (plugin,) = options["plugins"]
    assert (plugin.precision, plugin.device) == ("16-mixed", "cpu")
    assert plugin.scaler.state_dict() == {
        "scale": 512.0,
        "growth_factor": 2.0,
        "backoff_factor": 0.5,
        "growth_interval": 3,
        "_growth_tracker": 0,
    }


def test_a_device_with_a_number_is_that_one_device():
    assert trainer_options(AmpConfig(device="cuda:3"))["devices"] == [3]
    assert trainer_options(AmpConfig(device="cuda"))["devices"] == 1
    assert trainer_options(AmpConfig(device="cuda"))["accelerator"] == "cuda"


def test_a_device_without_an_accelerator_is_refused():
    with pytest.raises(ValueError, match="no accelerator for 'xpu'"):
        trainer_options(AmpConfig(device="xpu"))


@pytest.mark.parametrize(
    ("config", "name", "dtype"),
    [(FP32, "fp32", torch.float32), (BF16, "bf16", torch.bfloat16), (FP16, "fp16", torch.float16)],
)
def test_the_trainer_really_computes_in_the_configured_precision(config, name, dtype, digits_loaders, quiet):
    seen = set()

    def watched(model, batch):
        handle = model[3].register_forward_hook(lambda _module, _inputs, output: seen.add(output.dtype))
        outcome = classification(model, batch)
        handle.remove()
        return outcome

    trained = module(watched)
    trainer = amp_trainer(config, **quiet, max_epochs=1)
    trainer.fit(trained, *digits_loaders)
    assert trainer_precision(trainer) == name
    assert seen == {dtype}  # in validation too
    assert {parameter.dtype for parameter in trained.parameters()} == {torch.float32}
    assert trainer.callback_metrics["validation/accuracy"] > 0.3
    assert torch.isfinite(trainer.callback_metrics["train/loss"])


def test_lightning_alone_falls_back_from_fp16_on_a_cpu(quiet):
    with pytest.warns(UserWarning, match="AMP with fp16 is not supported on CPU"):
        trainer = Trainer(accelerator="cpu", precision="16-mixed", **quiet)  # verify: allow[AMP510] shows that it does
    assert trainer_precision(trainer) == "bf16"


def test_a_precision_that_is_not_ours_keeps_lightnings_name(quiet):
    assert trainer_precision(Trainer(accelerator="cpu", precision="64-true", **quiet)) == "64-true"


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "16-mixed"},
        {"precision": "bf16-mixed"},
        {"accelerator": "gpu"},
        {"plugins": MixedPrecision("bf16-mixed", "cpu")},
        {"plugins": [MixedPrecision("bf16-mixed", "cpu")]},
        {"strategy": SingleDeviceStrategy("cpu", precision_plugin=MixedPrecision("bf16-mixed", "cpu"))},
    ],
)
def test_a_second_opinion_on_the_precision_is_refused(options, quiet):
    with pytest.raises(ValueError, match=r"decides it; drop it|drop the plugin"):
        amp_trainer(BF16, **quiet, **options)


def test_the_number_of_devices_is_free_where_the_configuration_names_none(quiet):
    assert amp_trainer(BF16, **quiet, devices=2, strategy="ddp").num_devices == 2
    with pytest.raises(ValueError, match="devices=2 contradicts"):
        amp_trainer(AmpConfig(device="cuda:1"), **quiet, devices=2)


def test_a_strategy_without_a_precision_of_its_own_is_welcome(quiet):
    trainer = amp_trainer(BF16, **quiet, strategy=SingleDeviceStrategy("cpu"))
    assert trainer_precision(trainer) == "bf16"
