"""Decides how a test writes a notebook: its cells as text, the rest as Jupyter writes it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

PYTHON: dict[str, Any] = {"language_info": {"name": "python", "version": "3.11.4"}}
R: dict[str, Any] = {"kernelspec": {"name": "ir", "language": "R"}}


def code(text: str, **fields: Any) -> dict[str, Any]:
    """Return a code cell."""
    empty = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    return {**empty, "source": re.findall(r"[^\n]*\n|[^\n]+", text), **fields}


def markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": [text]}


def notebook(*cells: str | dict[str, Any], metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a notebook of format 4; a text is a code cell."""
    made = [code(cell) if isinstance(cell, str) else cell for cell in cells]
    return {"cells": made, "metadata": PYTHON if metadata is None else metadata, "nbformat": 4, "nbformat_minor": 5}


def as_written(document: dict[str, Any]) -> bytes:
    """Return a notebook as Jupyter writes it: each source line on a line of the file."""
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def write_notebook(path: Path, *cells: str | dict[str, Any], metadata: dict[str, Any] | None = None) -> Path:
    path.write_bytes(as_written(notebook(*cells, metadata=metadata)))
    return path
