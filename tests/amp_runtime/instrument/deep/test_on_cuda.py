"""On a GPU: kernels that only half has there, and the device waiting for nobody more often than it must."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from tests.amp_runtime.instrument.deep.looking import look

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(64, 192)

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (2, 32)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)


MODELS = {
    "attention": lambda: (nn.Sequential(nn.Linear(64, 64), Attention(), nn.Dropout(0.1)), (4, 16, 64)),
    "convolution": lambda: (
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3)), (4, 3, 16, 16),
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", MODELS)
def test_a_step_keeps_its_bits_and_its_gradients_are_near_their_shadows(name, dtype, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)

    def run(watched):
        torch.manual_seed(0)
        model, shape = MODELS[name]()
        model = model.cuda()
        inputs = torch.randn(shape, device="cuda")
        scaler = torch.amp.GradScaler("cuda", init_scale=1024.0, enabled=dtype is torch.float16)

        def step():
            with torch.autocast("cuda", dtype=dtype):
                loss = model(inputs).float().square().mean()
            scaler.scale(loss).backward()

        record = look(step) if watched else step()
        return [parameter.grad for parameter in model.parameters()], record

    plain, _ = run(watched=False)
    watched, record = run(watched=True)
    assert all(torch.equal(a, b) for a, b in zip(plain, watched, strict=True))
    assert record.shadow.taken == {}
    assert all(seen.compared and seen.relative_error < 0.1 for seen in record.gradients)
    assert {sync.site.operator for sync in record.syncs} == set()
