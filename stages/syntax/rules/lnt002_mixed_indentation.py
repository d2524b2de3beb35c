"""LNT002: one file indents some blocks with tabs and others with spaces."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="LNT002",
    name="mixed-indentation",
    severity=Severity.INFO,
    summary="A file indents some blocks with tabs and others with spaces.",
    why=(
        "Python accepts it as long as no single block mixes them, but the code reads differently in every editor, and"
        " a line moved from one block into another is a syntax error. Other conventions are shown in the report and are"
        " no findings."
    ),
    examples=(
        Bad("def scale(x):\n    return x * 2\n\n\ndef unscale(x):\n\treturn x / 2  # expect: LNT002\n"),
        Good("def scale(x):\n    return x * 2\n\n\ndef unscale(x):\n  return (\n\tx / 2\n  )\n"),
    ),
)
