"""One warm interpreter for all questions to CPython."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stages.syntax.imports.oracle import Oracle


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    with Oracle() as server:
        yield server
