"""What a training script, and the processes that it starts, have shown in the child.

Standard library only, and no torch: it is loaded on both sides, in the child under a private name.
"""

from __future__ import annotations

from dataclasses import dataclass

from .instrument.records import SanitizerReport  # noqa: TC001 - fields are decoded by their annotations


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptEnd:
    """A script came to an end of its own, or to the one that was asked for.

    Args:
        exit_code: as the shell would see it.
        stopped: it was ended after the training steps that were asked for.
        devices: where the parameters of its optimizers lay in the first step.
    """

    exit_code: int
    stopped: bool
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankSeen:
    """One process that a script started and that trained, watched like the script itself.

    Args:
        rank, world: its number among how many, as torch.distributed or the launcher has it; None: neither knows.
        local_world: how many of them were started on this machine.
        complete: it came to an end of its own, so that nothing it did after the report is missing.
        stopped: it was ended after the training steps that were asked for.
        devices: where the parameters of its optimizers lay in the first step.
    """

    pid: int
    rank: int | None
    world: int | None
    local_world: int | None
    complete: bool
    stopped: bool
    devices: tuple[str, ...]
    report: SanitizerReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulated:
    """A CUDA device is emulated; `limits` says what that cannot show. `problem`: why it could not be."""

    limits: tuple[str, ...]
    problem: str = ""
