"""Decides what `--executor` names, and which options do not go with a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.errors import UsageError

if TYPE_CHECKING:
    from verifier.commands import Options


def is_cluster(options: Options) -> bool:
    """Say whether tasks are verified on a cluster.

    Raises:
        UsageError: there is no such executor, or an option that needs this machine goes with it.
    """
    executor = options.executor
    if executor == "local":
        return False
    if executor != "ray" and not executor.startswith("ray://"):
        raise UsageError(f'there is no executor "{executor}"; give local, ray or ray://HOST:PORT')
    keeps = options.save_baseline or options.save_anyway is not None
    for option, given in (("--update-baseline", options.update_baseline is not None), ("--save-baseline", keeps)):
        if given:
            raise UsageError(f"{option} is for runs on this machine; leave out --executor {executor}")
    return True
