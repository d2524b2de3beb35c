"""A small GRU that reads lines of Python's help texts and predicts each next character."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from amp_runtime.metrics import evaluate
from amp_runtime.objective import Outcome
from amp_runtime.policy import policy_for
from amp_runtime.step import StepOptions, TrainingStep
from amp_runtime.workloads.contract import PacedWorkload, best_config, figures, seeded
from amp_runtime.workloads.language import VOCABULARY, encode, help_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Lines = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

IGNORED = -100  # the target of padding
_BATCH = 32
_WIDTH = 64
_SHORTEST, _LONGEST = 8, 48


def line_gru(*, amp: bool, seed: int) -> PacedWorkload[Lines]:
    """Train in fp32, or under `amp` in the best format of this machine."""
    config = best_config(amp=amp)
    lines = load_lines()
    validation = pack(lines[::20], config.device)
    training = [line for place, line in enumerate(lines) if place % 20]
    model = seeded(LineGru, seed).to(config.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    policy = policy_for(config)
    # The gradient of a recurrence is a product of many factors, so clipping is part of the method (arXiv 1211.5063).
    step = TrainingStep(model, optimizer, policy, next_character, options=StepOptions(clip_norm=1.0))

    def measure() -> dict[str, float]:
        seen = evaluate(model, [validation], policy, next_character)
        return {"perplexity": seen.perplexity, **figures(seen)}

    return PacedWorkload(step, _stream(training, seed, config.device), measure)


def next_character(model: nn.Module, batch: Lines) -> Outcome:
    """Judge the prediction of each next character by cross entropy; padding counts for nothing."""
    characters, lengths, targets = batch
    logits = model(characters, lengths).float()
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
    # The lengths are on the host, so that this count waits for no device.
    return Outcome(loss=loss, examples=int(lengths.sum()), correct=(logits.detach().argmax(-1) == targets).sum())


def load_lines() -> list[torch.Tensor]:
    """Return the text's lines as int64 codes, a newline at the end of each; blank and very short ones are left out."""
    stripped = [line.strip() for line in help_text().splitlines()]
    lines = [f"{line[:_LONGEST]}\n" for line in stripped if len(line) >= _SHORTEST]
    # One call for all: each of ten thousand costs more than its line.
    return list(torch.split(encode("".join(lines)), [len(line) for line in lines]))


def pack(lines: Sequence[torch.Tensor], device: str) -> Lines:
    """Pad lines to one batch.

    Returns:
        Characters int64 `(n, longest)`, lengths int64 `(n,)` on the CPU, where packing wants them, and the next
        characters `(n, longest)`, `IGNORED` behind the end.
    """
    characters = pad_sequence([line[:-1] for line in lines], batch_first=True)
    targets = pad_sequence([line[1:] for line in lines], batch_first=True, padding_value=IGNORED)
    return characters.to(device), torch.tensor([len(line) - 1 for line in lines]), targets.to(device)


class LineGru(nn.Module):
    """One GRU layer, about 37,000 weights: `(batch, length)` and lengths in, logits `(.., .., VOCABULARY)` out."""

    def __init__(self) -> None:
        super().__init__()
        self.characters = nn.Embedding(VOCABULARY, _WIDTH)
        self.gru = nn.GRU(_WIDTH, _WIDTH, batch_first=True)
        self.head = nn.Linear(_WIDTH, VOCABULARY)

    def forward(self, characters: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        # Packed, the recurrence never sees padding. A GRU and no LSTM: on a CPU an LSTM is a single oneDNN kernel that
        # many CPUs lack in float16, so that it trains under autocast and then raises in evaluation.
        packed = pack_padded_sequence(self.characters(characters), lengths, batch_first=True, enforce_sorted=False)
        states, _ = self.gru(packed)
        padded, _ = pad_packed_sequence(states, batch_first=True, total_length=characters.shape[1])
        logits: torch.Tensor = self.head(padded)
        return logits


def _stream(lines: Sequence[torch.Tensor], seed: int, device: str) -> Iterator[Lines]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        chosen = torch.randint(len(lines), (_BATCH,), generator=generator)
        yield pack([lines[place] for place in chosen.tolist()], device)
