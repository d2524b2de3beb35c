"""A small causal transformer that learns Python's own help texts, character by character."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from amp_runtime.capability import capability_of
from amp_runtime.metrics import evaluate
from amp_runtime.objective import classification
from amp_runtime.policy import policy_for
from amp_runtime.step import StepOptions, TrainingStep
from amp_runtime.workloads.contract import PacedWorkload, best_config, figures, seeded

if TYPE_CHECKING:
    from collections.abc import Iterator

Tokens = tuple[torch.Tensor, torch.Tensor]

VOCABULARY = 97  # newline, the 95 printable ASCII characters, and one for all others
_CONTEXT = 64
_BATCH = 8
# Wide enough for matrix products to decide what a step costs. On a CPU that computes in BF16, AMP is slower than FP32
# at a width of 64, where casts decide, as fast at 128, and from there on faster (docs/benchmarks.md).
_WIDTH = 256
# Where every half format is emulated, time decides nothing and a full step takes 20 times as long as in FP32. A quarter
# of the batch at half the width learns as well, and keeps as large a share of its activations.
_BATCH_EMULATED = 2
_WIDTH_EMULATED = 128
_HEADS = 4
_LAYERS = 2
_VALIDATION_BATCHES = 8


def char_lm(*, amp: bool, seed: int) -> PacedWorkload[Tokens]:
    """Train in fp32, or under `amp` in the best format of this machine."""
    config = best_config(amp=amp)
    native = capability_of(config.device).best_native_amp().precision.is_low
    # in FP32 too: both train the same model on the same data
    size, width = (_BATCH, _WIDTH) if native else (_BATCH_EMULATED, _WIDTH_EMULATED)
    tokens = encode(help_text())
    held_out = len(tokens) // 10
    validation = list(_validation_batches(tokens[-held_out:], size, config.device))
    model = seeded(lambda: CharTransformer(width), seed).to(config.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    policy = policy_for(config)
    step = TrainingStep(model, optimizer, policy, classification, options=StepOptions(clip_norm=1.0))

    def measure() -> dict[str, float]:
        seen = evaluate(model, validation, policy, classification)
        return {"perplexity": seen.perplexity, **figures(seen)}

    return PacedWorkload(step, _stream(tokens[:-held_out], size, seed, config.device), measure)


def help_text() -> str:
    """Return the texts behind `help("if")` and its like, in alphabetical order: about 450,000 characters."""
    topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    return "\n".join(topics[name] for name in sorted(topics))


def encode(text: str) -> torch.Tensor:
    """Map characters to int64 numbers below `VOCABULARY`."""
    codes = torch.frombuffer(bytearray(text.encode("utf-32-le")), dtype=torch.int32).long()
    printable = (codes >= 32) & (codes < 127)
    return torch.where(printable, codes - 31, torch.where(codes == 10, 0, VOCABULARY - 1))


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(batch, length, 3, _HEADS, width // _HEADS)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.project(mixed.transpose(1, 2).reshape(batch, length, width))
        mlp: torch.Tensor = self.mlp(self.norm_mlp(x))
        return x + mlp


class CharTransformer(nn.Module):
    """Pre-norm decoder, 1.6 million weights: int64 `(batch, length)` in, logits `(batch, length, VOCABULARY)` out.

    Args:
        width: of the residual stream, a multiple of the four heads; the number of weights grows with its square.
    """

    def __init__(self, width: int = _WIDTH) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.positions = nn.Embedding(_CONTEXT, width)
        self.blocks = nn.Sequential(*(_Block(width) for _ in range(_LAYERS)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, VOCABULARY)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        hidden = self.blocks(self.tokens(tokens) + self.positions(places))
        logits: torch.Tensor = self.head(self.norm(hidden))
        return logits


def _cut(tokens: torch.Tensor, starts: torch.Tensor, device: str) -> Tokens:
    spans = tokens[starts.unsqueeze(1) + torch.arange(_CONTEXT + 1)].to(device)
    return spans[:, :-1], spans[:, 1:]


def _stream(tokens: torch.Tensor, size: int, seed: int, device: str) -> Iterator[Tokens]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield _cut(tokens, torch.randint(len(tokens) - _CONTEXT, (size,), generator=generator), device)


def _validation_batches(tokens: torch.Tensor, size: int, device: str) -> Iterator[Tokens]:
    starts = torch.linspace(0, len(tokens) - _CONTEXT - 1, size * _VALIDATION_BATCHES).long()
    for group in starts.reshape(_VALIDATION_BATCHES, size):
        yield _cut(tokens, group, device)
