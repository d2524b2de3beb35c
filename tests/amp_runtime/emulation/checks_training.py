"""Whole training steps under float16 with a GradScaler."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

DEVICES = ("cuda", "cpu")


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(16, 32)
        self.norm = nn.LayerNorm(32)
        self.qkv = nn.Linear(32, 96)
        self.out = nn.Linear(32, 16)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            each.unflatten(-1, (4, 8)).transpose(1, 2) for each in self.qkv(self.norm(self.embed(tokens))).chunk(3, -1)
        )
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Recurrent(nn.Module):
    def __init__(self, cell: type[nn.Module]) -> None:
        super().__init__()
        self.cell = cell(8, 16, 2, batch_first=True)
        self.out = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.cell(x)[0][:, -1])


def _cases(device):
    image = torch.randn(8, 3, 8, 8, device=device)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(), nn.Linear(72, 4)
    )
    tokens = torch.arange(64, device=device).reshape(8, 8) % 16
    labels = torch.arange(8, device=device) % 4
    wide = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 4))
    encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return [
        (wide, torch.randn(8, 8, device=device), labels),
        (net, image, labels),
        (Attention(), tokens, tokens),
        (Recurrent(nn.LSTM), torch.randn(8, 5, 8, device=device), labels),
        (Recurrent(nn.GRU), torch.randn(8, 5, 8, device=device), labels),
        (nn.Sequential(encoder, nn.Linear(8, 4)), torch.randn(8, 5, 8, device=device), labels[:, None].expand(8, 5)),
    ]


def _train(net, x, y, device, make_optimizer, steps=30):
    net.to(device)
    optimizer = make_optimizer(net.parameters())
    scaler = torch.amp.GradScaler(device, init_scale=1024.0)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        with torch.autocast(device, dtype=torch.float16):
            out = net(x)
            loss = functional.cross_entropy(out.flatten(0, -2), y.flatten())
        assert out.dtype == torch.float16
        assert loss.dtype == torch.float32
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        for parameter in net.parameters():
            assert parameter.dtype == parameter.grad.dtype == torch.float32
            assert torch.isfinite(parameter.grad).all()
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    return losses


def check_networks_of_every_kind_learn():
    for device in DEVICES:
        torch.manual_seed(0)
        for net, x, y in _cases(device):
            losses = _train(net, x, y, device, lambda p: torch.optim.AdamW(p, lr=1e-2))
            assert losses[-1] < 0.7 * losses[0], (device, type(net).__name__, losses)


def check_optimizers_of_every_implementation_agree():
    ends = {}
    for name in ("foreach", "fused", "capturable"):
        torch.manual_seed(0)
        net, x, y = _cases("cuda")[0]
        ends[name] = _train(net, x, y, "cuda", lambda p, name=name: torch.optim.AdamW(p, lr=1e-2, **{name: True}))
    for other in ("fused", "capturable"):
        assert ends[other] == pytest.approx(ends["foreach"], rel=1e-2), other


def check_float32_training_is_the_same_on_both_devices():
    ends = {}
    for device in DEVICES:
        torch.manual_seed(0)
        net, _, _ = _cases("cpu")[1]
        net[5] = nn.Identity()
        net.to(device)
        torch.manual_seed(1)
        x, y = torch.randn(8, 3, 8, 8).to(device), torch.arange(8).to(device) % 4
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        for _ in range(5):
            optimizer.zero_grad()
            functional.cross_entropy(net(x), y).backward()
            optimizer.step()
        ends[device] = [parameter.detach().cpu() for parameter in net.parameters()]
    for one, other in zip(*ends.values(), strict=True):
        torch.testing.assert_close(one, other)


def check_gradients_through_recurrent_cells_are_right():
    # Doubles would hide the fused cells' own arithmetic, so compare with the CPU's in float32.
    for kind in (nn.LSTM, nn.GRU):
        torch.manual_seed(0)
        cells = {"cpu": kind(3, 4, 2, bidirectional=True)}
        cells["cuda"] = kind(3, 4, 2, bidirectional=True).cuda()
        cells["cuda"].load_state_dict(cells["cpu"].state_dict())
        x = torch.randn(5, 2, 3)
        for device, cell in cells.items():
            out, hidden = cell(x.to(device))
            total = out.pow(2).sum() + sum(h.pow(3).sum() for h in (hidden if isinstance(hidden, tuple) else (hidden,)))
            total.backward()
        for (name, one), other in zip(cells["cpu"].named_parameters(), cells["cuda"].parameters(), strict=True):
            torch.testing.assert_close(other.grad.cpu(), one.grad, rtol=1e-4, atol=1e-5, msg=name)


def check_an_overflow_skips_the_step_and_backs_off_the_scale():
    for device, fused in (("cuda", False), ("cuda", True), ("cpu", False)):
        net = nn.Linear(4, 4).to(device)
        optimizer = torch.optim.AdamW(net.parameters(), lr=0.1, fused=fused)
        scaler = torch.amp.GradScaler(device, init_scale=2.0**16)
        before = net.weight.detach().clone()
        with torch.autocast(device, dtype=torch.float16):
            loss = (net(torch.full((2, 4), 3e4, device=device)) * 4).float().sum()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        assert scaler.get_scale() == 2.0**15
        assert torch.equal(net.weight, before)


def check_float16_parameters_cannot_be_unscaled():
    for device in DEVICES:
        net = nn.Linear(2, 2).to(device).half()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler(device)
        scaler.scale(net(torch.ones(1, 2, device=device).half()).float().sum()).backward()
        with pytest.raises(ValueError, match="Attempting to unscale FP16 gradients"):
            scaler.unscale_(optimizer)


def check_checkpointed_layers_draw_the_same_dropout_again():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 8), nn.Dropout(), nn.Linear(8, 8)).cuda()
    x = torch.randn(4, 8, device="cuda", requires_grad=True)
    gradients = []
    for use in (False, True):
        torch.cuda.manual_seed(1)
        with torch.autocast("cuda"):
            out = checkpoint(net, x, use_reentrant=False) if use else net(x)
        gradients.append(torch.autograd.grad(out.float().sum(), x)[0])
    assert torch.equal(*gradients)


def check_a_gradient_penalty_can_be_differentiated_twice():
    net = nn.Linear(4, 1).cuda()
    x = torch.randn(2, 4, device="cuda", requires_grad=True)
    with torch.autocast("cuda"):
        out = net(x).sum()
    (gradient,) = torch.autograd.grad(out, x, create_graph=True)
    (gradient.float().norm() - 1).pow(2).backward()
    assert torch.isfinite(net.weight.grad).all()
