"""Tests of the AMP utilities.

Precision mapping in every combination, the callback with stand-ins for Weights & Biases
and the trainer, and training with and without a GPU.
"""

import itertools
import math
from types import SimpleNamespace
from unittest import mock

import pytest
import torch

import utils.training
from utils.training.amp_utils import AmpWandbCallback, compute_effective_precision

REQUESTS = ("32", "bf16")


class TestComputeEffectivePrecision:
    """What the switch makes of a request."""

    def test_no_switch_keeps_the_request(self):
        assert compute_effective_precision("bf16", None, True, True) == "bf16"

    def test_amp_on_a_gpu_is_16_bits(self):
        assert compute_effective_precision("32", True, True, True) == "16"

    def test_amp_without_cuda_falls_back(self):
        assert compute_effective_precision("16", True, False, True) == "32"

    def test_amp_with_an_unused_gpu_falls_back(self):
        assert compute_effective_precision("16", True, True, False) == "32"

    def test_amp_off_is_32_bits(self):
        assert compute_effective_precision("16", False, True, True) == "32"

    @pytest.mark.parametrize(
        ("requested", "use_amp", "cuda_available", "use_gpu"),
        list(itertools.product(REQUESTS, (True, False), (True, False), (True, False))),
    )
    def test_every_combination(self, requested, use_amp, cuda_available, use_gpu):
        expected = "16" if use_amp and cuda_available and use_gpu else "32"
        assert compute_effective_precision(requested, use_amp, cuda_available, use_gpu) == expected


class MockGradScaler:
    """Stands in for the gradient scaler."""

    def __init__(self, scale):
        self.scale = scale

    def get_scale(self):
        return self.scale


class MockPrecisionPlugin:
    """Stands in for the trainer's precision plugin."""

    def __init__(self, scaler):
        self.scaler = scaler


class MockStrategy:
    """Stands in for the trainer's strategy."""

    def __init__(self, plugin):
        self.precision_plugin = plugin


class MockTrainer:
    """Stands in for the trainer."""

    def __init__(self, scaler=None, global_step=7):
        self.strategy = MockStrategy(MockPrecisionPlugin(scaler))
        self.global_step = global_step


class TestAmpWandbCallback:
    """What the callback logs."""

    @pytest.fixture
    def setup_wandb_mock(self):
        """Replace Weights & Biases by a recorder with a run."""
        with mock.patch.object(utils.training.amp_utils, "wandb", SimpleNamespace(run=object(), log=mock.Mock())) as w:
            yield w

    def test_it_logs_the_loss_scale(self, setup_wandb_mock):
        AmpWandbCallback(True, "16").on_train_epoch_end(MockTrainer(MockGradScaler(1024.0)), None)
        setup_wandb_mock.log.assert_called_once_with(
            {"amp/enabled": 1, "amp/precision": "16", "amp/loss_scale": 1024.0}, step=7
        )

    def test_without_a_scaler_there_is_no_loss_scale(self, setup_wandb_mock):
        AmpWandbCallback(True, "bf16").on_train_epoch_end(MockTrainer(), None)
        setup_wandb_mock.log.assert_called_once_with({"amp/enabled": 1, "amp/precision": "bf16"}, step=7)

    def test_disabled_it_does_not_ask_for_the_scale(self, setup_wandb_mock):
        AmpWandbCallback(False, "32").on_train_epoch_end(MockTrainer(MockGradScaler(2.0)), None)
        setup_wandb_mock.log.assert_called_once_with({"amp/enabled": 0, "amp/precision": "32"}, step=7)

    @pytest.mark.parametrize("scale", [2.0**-24, 1.0, 2.0**16, 2.0**40, math.inf])
    def test_extreme_scales_pass_through(self, scale):
        assert AmpWandbCallback(True, "16")._get_loss_scale(MockTrainer(MockGradScaler(scale))) == scale

    def test_a_trainer_without_a_strategy_has_no_scale(self):
        assert AmpWandbCallback(True, "16")._get_loss_scale(SimpleNamespace()) is None

    def test_without_a_run_nothing_is_logged(self, setup_wandb_mock):
        setup_wandb_mock.run = None
        AmpWandbCallback(True, "16").on_train_epoch_end(MockTrainer(MockGradScaler(1.0)), None)
        setup_wandb_mock.log.assert_not_called()


class TinyLanguageModel(torch.nn.Module):
    """An embedding and a projection."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(11, 8)
        self.head = torch.nn.Linear(8, 11)

    def forward(self, tokens):
        return self.head(self.embedding(tokens))


class TestAMPIntegration:
    """Training for real."""

    @pytest.fixture
    def model(self):
        """Return a small model, the same every time."""
        torch.manual_seed(0)
        return TinyLanguageModel()

    def test_fp32_training_lowers_the_loss(self, model):
        from utils import tier3_training_utilities as tier3

        results = tier3.test_fine_tuning(model, SimpleNamespace(vocab_size=11), n_epochs=8, learning_rate=0.05)
        assert results["loss_history"][-1] < results["loss_history"][0]
        assert not results["amp_enabled"]

    @pytest.mark.skipif(torch.cuda.is_available(), reason="checks the fallback without a GPU")
    def test_amp_without_a_gpu_trains_in_fp32(self, model):
        from utils import tier3_training_utilities as tier3

        results = tier3.test_fine_tuning(model, SimpleNamespace(vocab_size=11), n_epochs=1, use_amp=True)
        assert results["final_loss_scale"] is None

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    def test_amp_on_a_gpu_keeps_a_loss_scale(self, model):
        from utils import tier3_training_utilities as tier3

        results = tier3.test_fine_tuning(model.cuda(), SimpleNamespace(vocab_size=11), n_epochs=2, use_amp=True)
        assert results["final_loss_scale"] > 0

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    def test_the_benchmark_compares_both(self, model):
        from utils.training import amp_benchmark

        results = amp_benchmark.test_amp_speedup_benchmark(model.cuda(), SimpleNamespace(vocab_size=11))
        assert set(results["requirements_met"]) == {"speedup", "memory", "accuracy"}

    def test_effective_precision_agrees_with_this_machine(self):
        expected = "16" if torch.cuda.is_available() else "32"
        assert compute_effective_precision("32", True, torch.cuda.is_available(), True) == expected
