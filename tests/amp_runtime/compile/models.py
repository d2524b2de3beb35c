"""Small models, each with something that a compiler can get wrong, and a sample for each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional


def mlp():
    return nn.Sequential(nn.Linear(24, 32), nn.GELU(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 10))


class ConvNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.second, self.other_norm = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = functional.relu(self.norm(self.first(x)))
        x = x + functional.silu(self.other_norm(self.second(x)))
        return self.head(x.mean((2, 3)))


class Block(nn.Module):
    """A pre-norm transformer block whose dropout is on in training."""

    def __init__(self, width=32, heads=4):
        super().__init__()
        self.heads = heads
        self.norm, self.other_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.projection, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(0.2)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = self.projection(self.norm(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = torch.softmax(q @ k.transpose(-1, -2) / (width // self.heads) ** 0.5, -1)
        mixed = (scores @ v).transpose(1, 2).reshape(batch, length, width)
        x = x + self.dropout(self.out(mixed))
        return x + self.down(functional.gelu(self.up(self.other_norm(x))))


class Loop(nn.Module):
    """A gated recurrence, unrolled."""

    def __init__(self, width=16):
        super().__init__()
        self.gates, self.candidate = nn.Linear(2 * width, 2 * width), nn.Linear(2 * width, width)
        self.width = width

    def forward(self, x):
        hidden = x.new_zeros(x.shape[1], self.width)
        for step in x:
            reset, update = torch.sigmoid(self.gates(torch.cat((step, hidden), -1))).chunk(2, -1)
            candidate = torch.tanh(self.candidate(torch.cat((step, reset * hidden), -1)))
            hidden = update * hidden + (1 - update) * candidate
        return hidden


class Tied(nn.Module):
    """Embedding and head share their weight; returns a dictionary."""

    def __init__(self, tokens=40, width=24):
        super().__init__()
        self.embedding, self.norm = nn.Embedding(tokens, width), nn.LayerNorm(width)
        self.inner, self.head = nn.Linear(width, width), nn.Linear(width, tokens, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens, labels):
        hidden = self.embedding(tokens)
        hidden = self.norm(hidden + torch.tanh(self.inner(hidden)))
        logits = self.head(hidden)
        loss = functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return {"loss": loss, "logits": logits, "length": tokens.shape[1], "best": logits.argmax(-1)}


@dataclass
class Encoded:
    mean: torch.Tensor
    spread: torch.Tensor
    parts: tuple[torch.Tensor, ...]


class Records(nn.Module):
    """Takes a dictionary and returns a dataclass; writes into an input."""

    def __init__(self):
        super().__init__()
        self.mean, self.spread = nn.Linear(12, 6), nn.Linear(12, 6)
        self.register_buffer("seen", torch.zeros(12))

    def forward(self, batch):
        x = batch["x"]
        x.mul_(0.5)
        with torch.no_grad():
            self.seen.lerp_(x.mean(0), 0.1)
        mean, spread = self.mean(x), functional.softplus(self.spread(x))
        return Encoded(mean, spread, (mean / (spread + 1e-3), mean.square().sum(-1)))


def randn(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def tokens(seed, batch=6):
    drawn = torch.randint(40, (2, batch, 12), generator=torch.Generator().manual_seed(seed))
    return {"tokens": drawn[0], "labels": drawn[1]}


# name -> (factory, sample of a seed)
MODELS = {
    "mlp": (mlp, lambda seed: randn(16, 24, seed=seed)),
    "conv": (ConvNorm, lambda seed: randn(6, 3, 8, 8, seed=seed)),
    "block": (Block, lambda seed: randn(4, 10, 32, seed=seed)),
    "loop": (Loop, lambda seed: randn(3, 8, 16, seed=seed)),
    "tied": (Tied, tokens),
    "records": (Records, lambda seed: ({"x": randn(20, 12, seed=seed)},)),
}


def made(name, seed=0):
    """Return a model and its sample."""
    factory, sample = MODELS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return factory(), sample(seed)
