from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from amp_runtime.compile.reference import RandomDtypes, Widened, reference_of, take_over, widen
from amp_runtime.compile.running import Conditions, run_once
from amp_runtime.compile.state import Buffers
from amp_runtime.compile.trees import Sample
from tests.amp_runtime.compile.models import MODELS, made

CPU = torch.device("cpu")


class Stubborn(nn.Module):
    """Names its dtypes itself, makes tensors of its own and writes into one."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.constant = torch.full((8,), 0.1)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = self.layer(x).float()
        total = torch.zeros(x.shape[0], 8)
        total += hidden.to(torch.float32) * self.constant
        return functional.dropout(total, 0.3) + torch.rand(8)


def errors(model, sample, conditions):
    buffers = Buffers(model)
    with RandomDtypes() as drawn:
        eager = run_once(model, model, sample, conditions)
    buffers.restore()
    reference = reference_of(model)
    take_over(reference, model)
    with Widened(drawn.seen):
        exact = run_once(reference, reference, sample.changed(widen), replace(conditions, precision="fp32"))
    assert eager.tensors.keys() == exact.tensors.keys()
    scales = {}
    for one in exact.tensors.values():  # by kind: some gradients are zero but for rounding
        if one.values is not None and one.values.numel():
            scales[one.kind] = max(scales.get(one.kind, 0.0), float(one.values.abs().max()))
    for name, one in eager.tensors.items():
        if one.values is not None and one.values.dtype is torch.float64:
            assert exact.tensors[name].dtype is torch.float64
            yield float((one.values - exact.tensors[name].values).abs().max()) / scales[one.kind]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", [*MODELS, "stubborn"])
def test_float64_follows_eager_with_the_same_random_numbers(name, precision):
    model, given = (Stubborn(), torch.randn(4, 8)) if name == "stubborn" else made(name)
    writes = name == "records"
    conditions = Conditions(precision=precision, which="train", device=CPU, input_gradients=not writes)
    low = precision == "bf16" or name == "stubborn"
    assert max(errors(model, Sample.of(given, model), conditions)) < (0.2 if low else 1e-4)


def test_tied_weights_stay_tied_and_values_are_taken_over():
    model, _ = made("tied")
    reference = reference_of(model)
    assert reference.head.weight is reference.embedding.weight
    with torch.no_grad():
        model.head.weight.fill_(2.0)
    model.norm.eval()
    take_over(reference, model)
    assert reference.embedding.weight.unique().tolist() == [2.0]
    assert reference.norm.training is False


def test_what_cannot_be_copied_is_said():
    model = nn.Linear(2, 2)
    model.cached = model.weight * 2
    with pytest.raises(ValueError, match="cannot be copied"):
        reference_of(model)
