"""Decides how text is put into SARIF messages, in which brackets make links and braces make placeholders."""

from __future__ import annotations

import re

from verifier.api import one_line

LIMIT = 1_500
_LINK = re.compile(r"\](?=\()")
_PLACEHOLDER = re.compile(r"\{(\d+)\}")


def message(text: str) -> str:
    """Return one line that no viewer finds a link or a placeholder in; never empty, as the schema asks."""
    shown = _LINK.sub("] ", one_line(text, LIMIT))
    return _PLACEHOLDER.sub(r"{{\1}}", shown) or "(no text)"
