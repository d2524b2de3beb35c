"""What stage 5 requires, and what was looked at for each requirement. Findings settle the gates in the core."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.api import Gate, GateStatus

if TYPE_CHECKING:
    from stages.security.delegated import Delegated
    from stages.security.reading import Read
    from stages.security.scanner.scan import Scanned

GATES = {
    "loading": "nothing is loaded that can run code, unless it is known where it comes from",
    "execution": "no text or command from elsewhere is run",
    "secrets": "no file holds a live credential",
    "trackers": "no secret leaves for an experiment tracker",
    "dependencies": "what is installed and downloaded is what was reviewed",
    "files": "nobody else can change what is written and read",
    "security-lint": "ruff's security rules find nothing more",
}
_CODES = {
    "loading": ("SEC1",),
    "execution": ("SEC2",),
    "secrets": ("SEC3",),
    "trackers": ("SEC4",),
    "dependencies": ("SEC5",),
    "files": ("SEC6",),
    "security-lint": ("SEC9",),
}


def security_gates(read: Read, scanned: Scanned, delegated: Delegated, texts: int) -> tuple[Gate, ...]:
    """Return the gates of the stage. What was not read is deferred: not proven.

    Args:
        texts: files that were searched for secrets.
    """
    left = f"; not read, as they do not parse: {', '.join(read.unread[:3])}" if read.unread else ""
    searched = f"{_count(read.files, 'file')} searched, {read.parsed} of them read, tests left out{left}"
    sent = f"{_count(len(read.inventory), 'value')} sent to trackers; {searched}"
    said = {"trackers": sent, "secrets": _secrets(scanned, texts), "security-lint": _lint(delegated)}
    lacking = {"secrets": bool(scanned.reason), "security-lint": bool(delegated.reason)}
    return tuple(
        Gate(
            name=name,
            requirement=requirement,
            status=GateStatus.DEFERRED if lacking.get(name, bool(read.unread)) else GateStatus.PASS,
            evidence=said.get(name, searched),
            sums_up=_CODES[name],
        )
        for name, requirement in GATES.items()
    )


def _secrets(scanned: Scanned, texts: int) -> str:
    known = f"{_count(texts, 'file')} searched for well-known forms"
    if scanned.reason:
        return f"{scanned.reason}; {known}"
    version = scanned.scanner.version if scanned.scanner is not None else ""
    return f"betterleaks {version} read {_count(scanned.files, 'file')}; {known}"


def _lint(delegated: Delegated) -> str:
    if delegated.reason:
        return f"not every file was read: {delegated.reason}" if delegated.tool else delegated.reason
    return f"{delegated.tool or 'ruff'} read {_count(delegated.files, 'file')} that could concern its rules"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
