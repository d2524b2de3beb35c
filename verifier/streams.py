"""What goes to standard output and standard error, either of which may be closed, or a file on a full disk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

from verifier.errors import OutputError


@contextlib.contextmanager
def standard_output() -> Iterator[None]:
    """Turn a failure to write into one sentence.

    Raises:
        OutputError: standard output takes no more.
        BrokenPipeError: its reader has closed it; the command line says so for every command.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"standard output cannot be written: {error.strerror or error}") from error


def say(text: str, *, colour: bool | None = None) -> None:
    """Write text for people to standard output.

    Raises:
        OutputError, BrokenPipeError: as `standard_output`.
    """
    with standard_output():
        click.echo(text, color=colour)


def complain(text: str, *, colour: bool | None = None) -> None:
    """Write text to standard error. Where that is closed or full nobody can be told: the exit code still says it."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True, color=colour)
