"""Makes the imports lazy that break a cycle which only works by the order of statements."""

from __future__ import annotations

from stages.syntax.lazy_imports import DECLINES, SUMMARY, make_lazy
from verifier.api import Fix

FIX = Fix(rule="IMP004", safety="safe", summary=SUMMARY, repair=make_lazy, declines=DECLINES)
