"""Errors a user can act on, and the exit codes of the command line."""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """PRODUCT contract: the exit code is the verdict."""

    PASS = 0
    BLOCK = 1
    USAGE = 2
    INTERNAL = 3
    INTERRUPTED = 130


class VerifierError(Exception):
    """Base of every expected error; its text is one clear sentence naming the place and the remedy."""


class UsageError(VerifierError):
    """The command line asks for something that does not exist or cannot be combined."""


class ConfigError(VerifierError):
    """The configuration is wrong. Carries every problem found, one sentence each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class PluginError(VerifierError):
    """A plugin could not be loaded or contradicts another."""


class BaselineError(VerifierError):
    """Figures cannot be kept for later runs, or those that were kept cannot be read."""


class StageError(VerifierError):
    """Raised by a stage that cannot do its work for a reason outside itself (torch is missing, say).

    The stage ends ERRORED and the task is BLOCKed, but it is not a fault of the verifier.
    """


class MachineError(StageError):
    """The machine refuses what the verifier itself needs, such as one more process.

    Says nothing about the code: ERRORED and BLOCK as for any stage that cannot work, but ExitCode.INTERNAL.
    """


class OutputError(VerifierError):
    """A report could not be written. The run has no report, so it ends with ExitCode.INTERNAL."""
