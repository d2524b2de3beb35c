"""A program that is watched computes the same bits and draws the same numbers as one that is not."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from amp_runtime.instrument.deep.watch import DeepWatch


class Recomputed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Dropout(0.2), nn.Linear(32, 8))
        self.reentrant = reentrant

    def forward(self, x):
        return checkpoint(self.inner, x, use_reentrant=self.reentrant)


class Double(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu")
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x @ weight * 2

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        return gradient @ weight.mT * 2, x.mT @ gradient * 2


class Custom(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 8) / 3)

    def forward(self, x):
        return Double.apply(x, self.weight)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.LSTM(8, 8, num_layers=2, dropout=0.1, batch_first=True)

    def forward(self, x):
        return self.cell(x.unsqueeze(0))[0].squeeze(0)


MODELS = {
    "attention": lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True),
    "checkpoint": lambda: Recomputed(reentrant=False),
    "checkpoint-reentrant": lambda: nn.Sequential(nn.Linear(8, 8), Recomputed(reentrant=True)),
    "convolution": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 2, 2)), nn.Conv2d(2, 4, 2, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(4, 8),
    ),
    "custom": lambda: nn.Sequential(nn.Linear(8, 8), Custom()),
    "inplace": lambda: nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.3, inplace=True), nn.ReLU(inplace=True)),
    "lstm": Recurrent,
    "norms": lambda: nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.BatchNorm1d(8), nn.GroupNorm(2, 8)),
    "spectral": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8)),
}  # fmt: skip
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def run(make, dtype, watched):
    """Three steps with clipping; return every number that is left afterwards, and the watch's records."""
    torch.manual_seed(0)
    model = make()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**14, growth_interval=1, enabled=dtype is torch.float16)
    watch, records, losses = DeepWatch(), [], []
    for _ in range(3):
        if watched:
            assert watch.start() == ""
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype is not torch.float32):
            loss = model(torch.randn(4, 8)).float().square().mean()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        if watched:
            records.append(watch.stop())
        losses.append(loss.detach())
    state = [value for entry in optimizer.state.values() for value in entry.values()]
    gradients = [parameter.grad for parameter in model.parameters()]
    return [*losses, *model.state_dict().values(), *state, *gradients, torch.get_rng_state()], records


@pytest.mark.parametrize(
    ("model", "dtype"),
    # torch has no kernel for an LSTM in fp16 on some CPUs
    [(model, dtype) for model in MODELS for dtype in DTYPES if (model, dtype) != ("lstm", "fp16")],
)
def test_every_bit_and_every_random_number_stays(model, dtype):
    try:
        plain, _ = run(MODELS[model], DTYPES[dtype], watched=False)
    except RuntimeError as error:  # of torch alone: nothing is watched yet
        if "primitive descriptor" not in str(error):
            raise
        pytest.skip(f"this processor has no kernel for it: {error}")
    watched, records = run(MODELS[model], DTYPES[dtype], watched=True)
    assert len(plain) == len(watched)
    assert all(torch.equal(a, b) for a, b in zip(plain, watched, strict=True))
    for record in records:
        assert record.problems == ()
        assert record.operators > 20
        assert record.shadow.stopped == ""
        assert len(record.gradients) > 0


def test_a_mode_that_sees_all_functions_sees_none_of_ours():
    class Counting(torch.overrides.TorchFunctionMode):
        def __init__(self):
            super().__init__()
            self.seen = []

        def __torch_function__(self, func, types, args=(), kwargs=None):
            self.seen.append(func)
            return func(*args, **(kwargs or {}))

    def program():
        with Counting() as counting:
            (torch.ones(4, dtype=torch.bfloat16) * 2).sum().item()
        return counting.seen

    watch = DeepWatch()
    alone = program()
    watch.start()
    beside = program()
    record = watch.stop()
    assert beside == alone
    assert record.problems == ()


def test_the_default_device_is_not_taken_for_our_own_numbers():
    watch = DeepWatch()
    with torch.device("meta"):
        watch.start()
        with torch.device("cpu"):
            half = torch.ones(4, dtype=torch.float16)
        half + 1e-9
        record = watch.stop()
    assert record.problems == ()
    assert [fact.kind for fact in record.facts] == ["scalar-vanishes"]


def test_warnings_as_errors_reach_nobody():
    watch = DeepWatch()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        watch.start()
        model = torch.nn.Linear(4, 4)
        with torch.autocast("cpu"):
            model(torch.ones(2, 4)).sum().backward()
        record = watch.stop()
    assert record.problems == ()
