"""Reads every mutant: which new findings do the stages have that only read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from verifier.errors import StageError
from verifier.mutation.judging import known_of, said_of
from verifier.mutation.results import Result, read
from verifier.mutation.spread import spread

if TYPE_CHECKING:
    from verifier.mutation.judging import Known, Said
    from verifier.mutation.mutants import Mutant
    from verifier.mutation.running import Bench


def read_all(
    bench: Bench, mutants: Sequence[Mutant], known: Known, jobs: int, progress: Callable[[str], None]
) -> list[Result]:
    """Return what the stages that read say of each mutant."""
    results = []
    work = functools.partial(_said, bench, known)
    for mutant, said in zip(mutants, spread(work, mutants, jobs), strict=True):
        results.append(read(mutant, said))
        progress(f"read {len(results)} of {len(mutants)} mutants")
    return results


def _said(bench: Bench, known: Known, mutant: Mutant) -> Said:
    results = bench.results(bench.reading(), {mutant.path: mutant.data})
    crashed = [result for result in results if result.internal]
    if crashed:
        raise StageError(
            f"stage {crashed[0].name} fails on a mutant ({mutant.operator} at {mutant.place}): {crashed[0].reason}"
        )
    return said_of(mutant, results, known)


def known_by_reading(bench: Bench) -> Known:
    """Return what the stages that read say of the task itself.

    Raises:
        StageError: one of them cannot do its work.
    """
    results = bench.results(bench.reading(), {})
    for result in results:
        if result.reason:
            raise StageError(f"stage {result.name} cannot read the task: {result.reason}")
    return known_of(results)
