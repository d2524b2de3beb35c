"""A small transformer encoder that tells from a padded paragraph of Python's help texts which topic it is about."""

from __future__ import annotations

import collections
import importlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from amp_runtime.metrics import evaluate
from amp_runtime.objective import Outcome
from amp_runtime.policy import policy_for
from amp_runtime.step import StepOptions, TrainingStep
from amp_runtime.workloads.contract import PacedWorkload, figures, fp16_config, seeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Paragraphs = tuple[torch.Tensor, torch.Tensor]

# Large topics that share no paragraph; every supported Python has them.
TOPICS = ("compound", "debugger", "formatstrings", "string-methods", "types", "typesseq")
PAD, UNKNOWN = 0, 1
LABEL_SMOOTHING = 0.1
_WORDS = 1000  # the most frequent ones; all others are UNKNOWN
_LONGEST = 24
_BATCH = 32
_WIDTH = 32
_HEADS = 2
_LAYERS = 2


def encoder_fp16(*, amp: bool, seed: int) -> PacedWorkload[Paragraphs]:
    """Train in fp32, or under `amp` in float16 with a loss scaler on any device.

    Masks, softmax, means and label smoothing are where float16 overflows or rounds first; here each is done so that
    it does not.
    """
    config = fp16_config(amp=amp)
    data = load_paragraphs(config.device)
    model = seeded(MaskedEncoder, seed).to(config.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.01)
    policy = policy_for(config)
    step = TrainingStep(model, optimizer, policy, smoothed_classification, options=StepOptions(clip_norm=1.0))

    def measure() -> dict[str, float]:
        return figures(evaluate(model, [data.validation], policy, smoothed_classification))

    return PacedWorkload(step, _stream(data.training, seed), measure)


def smoothed_classification(model: nn.Module, batch: Paragraphs) -> Outcome:
    """Judge a classifier by cross entropy against targets that are right with 1 - `LABEL_SMOOTHING` (arXiv 1512.00567).

    The loss averages the log-probabilities of all classes, the improbable ones too, which half precision rounds
    most: it is computed from float32 logits.
    """
    words, topics = batch
    logits = model(words).float()
    loss = F.cross_entropy(logits, topics, label_smoothing=LABEL_SMOOTHING)
    return Outcome(loss=loss, examples=len(topics), correct=(logits.detach().argmax(-1) == topics).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class ParagraphData:
    """Two sets that share no paragraph: words int64 `(n, 24)`, padded with `PAD`, and topics int64 `(n,)`."""

    training: Paragraphs
    validation: Paragraphs


def load_paragraphs(device: str) -> ParagraphData:
    """Cut the topics into paragraphs; of each topic every fifth one is held out."""
    texts: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    # The topics repeat some sentences; what is trained on once must not be measured on elsewhere.
    labels = {tuple(words): label for label, name in enumerate(TOPICS) for words in paragraphs(texts[name])}
    found = list(labels.items())
    training = [pair for place, pair in enumerate(found) if place % 5]
    counts = collections.Counter(word for words, _ in training for word in words)
    frequent = sorted(counts, key=lambda word: (-counts[word], word))[:_WORDS]
    numbers = {word: number for number, word in enumerate(frequent, start=UNKNOWN + 1)}
    return ParagraphData(training=_tensors(training, numbers, device), validation=_tensors(found[::5], numbers, device))


def paragraphs(text: str) -> list[list[str]]:
    """Return the words of each paragraph that has at least six, lower case, not more than the model reads."""
    parts = [re.findall(r"[a-z_]+", part.lower()) for part in re.split(r"\n\s*\n", text)]
    return [words[:_LONGEST] for words in parts if len(words) >= 6]


def _tensors(found: Sequence[tuple[tuple[str, ...], int]], numbers: dict[str, int], device: str) -> Paragraphs:
    words = torch.full((len(found), _LONGEST), PAD)
    for row, (paragraph, _) in enumerate(found):
        words[row, : len(paragraph)] = torch.tensor([numbers.get(word, UNKNOWN) for word in paragraph])
    return words.to(device), torch.tensor([label for _, label in found], device=device)


class _MaskedAttention(nn.Module):
    """Written out, where `scaled_dot_product_attention` would do, to have its hazards in the open."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(_WIDTH, 3 * _WIDTH)
        self.project = nn.Linear(_WIDTH, _WIDTH)

    def forward(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        qkv = self.qkv(x).view(batch, length, 3, _HEADS, _WIDTH // _HEADS)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        # Scaled before the product, which could exceed float16's 65504 first and be inf by then.
        scores = (query * (_WIDTH // _HEADS) ** -0.5) @ key.transpose(-2, -1)
        # The smallest number of whatever dtype the scores have: -1e9 is -inf in float16, and where every score of a
        # row is -inf its softmax is NaN.
        scores = scores.masked_fill(~present[:, None, None, :], torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1, dtype=torch.float32)
        mixed = weights @ value
        projected: torch.Tensor = self.project(mixed.transpose(1, 2).reshape(batch, length, _WIDTH))
        return projected


class _Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(_WIDTH)
        self.attention = _MaskedAttention()
        self.norm_mlp = nn.LayerNorm(_WIDTH)
        self.mlp = nn.Sequential(nn.Linear(_WIDTH, 2 * _WIDTH), nn.GELU(), nn.Linear(2 * _WIDTH, _WIDTH))

    def forward(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm_attention(x), present)
        mlp: torch.Tensor = self.mlp(self.norm_mlp(x))
        return x + mlp


class MaskedEncoder(nn.Module):
    """Pre-norm encoder: int64 `(batch, length)` in, padding included, logits `(batch, len(TOPICS))` out."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(_WORDS + 2, _WIDTH, padding_idx=PAD)
        self.positions = nn.Embedding(_LONGEST, _WIDTH)
        nn.init.normal_(self.positions.weight, std=0.1)  # small beside the words, which decide here
        self.layers = nn.ModuleList(_Layer() for _ in range(_LAYERS))
        self.norm = nn.LayerNorm(_WIDTH)
        self.head = nn.Linear(_WIDTH, len(TOPICS))

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        present = words != PAD
        hidden = self.words(words) + self.positions(torch.arange(words.shape[1], device=words.device))
        for layer in self.layers:
            hidden = layer(hidden, present)
        logits: torch.Tensor = self.head(masked_mean(self.norm(hidden), present))
        return logits


def masked_mean(hidden: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Average `hidden` `(batch, length, width)` over the places where `present` `(batch, length)` is true; float32.

    A row without any such place gives zeros. Summed in float32, as a float16 sum of many overflows and rounds.
    """
    with torch.autocast(hidden.device.type, enabled=False):
        kept = hidden.float().masked_fill(~present.unsqueeze(-1), 0.0)
        return kept.sum(1) / present.sum(1, keepdim=True).clamp(min=1)


def _stream(data: Paragraphs, seed: int) -> Iterator[Paragraphs]:
    words, topics = data
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(topics), generator=generator).to(topics.device)
        for start in range(0, len(order) - _BATCH + 1, _BATCH):
            chosen = order[start : start + _BATCH]
            yield words[chosen], topics[chosen]
