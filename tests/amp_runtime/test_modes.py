import pytest
import torch
from torch import nn

from amp_runtime.modes import evaluating, restored_modes


def model_with_a_frozen_norm():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Sequential(nn.Dropout(0.5)))
    model.train()
    model[1].eval()
    return model


def modes(model):
    return [module.training for module in model.modules()]


def test_each_submodule_gets_its_own_mode_back():
    model = model_with_a_frozen_norm()
    before = modes(model)
    with evaluating(model):
        assert not any(modes(model))
        assert not torch.is_grad_enabled()
    assert modes(model) == before
    assert torch.is_grad_enabled()


def test_modes_come_back_after_an_exception():
    model = model_with_a_frozen_norm()
    before = modes(model)

    def fail():
        with restored_modes(model):
            model.eval()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert modes(model) == before
