"""Measure which lines of the task's files the tests reach, with coverage.py where the project's environment has it."""

from __future__ import annotations

import glob
import os
import sys
from typing import TYPE_CHECKING, Any

from ..wire import Coverage, CoveredFile
from .failure import safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_COVERAGE = "coverage.py is not installed in the project's environment"
_OWN = "the project measures it itself (pytest-cov), and one process can hold one measurement"


class Measurement:
    """A pytest plugin that starts to measure before the project's first line is loaded."""

    def __init__(self, root: str, paths: Sequence[str]) -> None:
        self._root = root
        self._paths = paths
        self._running: Any = None
        self._note = ""

    def pytest_load_initial_conftests(self, early_config: Any) -> None:
        if getattr(early_config.known_args_namespace, "cov_source", None):
            self._note = _OWN
            return
        if sys.version_info >= (3, 12):
            os.environ.setdefault("COVERAGE_CORE", "sysmon")  # costs a fraction of tracing
        try:
            import coverage  # noqa: PLC0415  the project's own, in its own environment
        except ImportError:
            self._note = _NO_COVERAGE
            return
        files = [glob.escape(os.path.join(self._root, path)) for path in self._paths]
        self._running = coverage.Coverage(data_file=None, config_file=False, include=files, messages=False)
        self._running.start()

    def result(self) -> Coverage:
        """End the measurement. Whatever the project did to it is said instead of a figure."""
        if self._running is None:
            return Coverage(files=(), note=self._note or "pytest did not get so far")
        try:
            self._running.stop()
            return Coverage(files=tuple(self._file(path) for path in self._paths))
        except Exception as error:  # the measurement is a note beside the tests' results, never one of them
            return Coverage(files=(), note=f"{type(error).__name__}: {safe_text(error)}")

    def _file(self, path: str) -> CoveredFile:
        _name, lines, _excluded, missed, _text = self._running.analysis2(os.path.join(self._root, path))
        return CoveredFile(path=path, lines=len(lines), missed=tuple(missed))
