"""Decides whether a text looks like a live credential, by its shape: no word of it is ever shown."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.patterns import late

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLACEHOLDER = late(
    rb"your|example|sample|dummy|fake|placeholder|change.?me|insert|replace|todo|x{4}|\*{3}|<|\.\.\.|1234567|abcdef0?1"
    rb"|0123456|token_here|redacted|secret_key_here",
    re.IGNORECASE,
)
# an address that was signed for one download names the key that signed it, and holds nothing that signs
_SIGNED = late(rb"(?:X-Amz-Credential|AWSAccessKeyId|GoogleAccessId)(?:=|%3D)\Z", re.IGNORECASE)
_LONGEST_NAME = 24  # bytes, of what `_SIGNED` looks for
_LEAST_ENTROPY = 3.0  # bits a character; text that a key generator wrote has more, words and patterns have less
_LEAST_PASSWORD = 8  # characters; services ask for as many
_LIVE = late(r"[A-Za-z0-9_\-+/=.:]{20,}\Z")


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of credential: the bytes that every one of it begins with, and its whole form."""

    name: str
    prefix: bytes
    pattern: re.Pattern[bytes]


def _shape(name: str, prefix: str, rest: str) -> Shape:
    pattern = re.compile(rb"(?<![A-Za-z0-9_])" + prefix.encode() + rest.encode() + rb"(?![A-Za-z0-9_])")
    return Shape(name, prefix.encode(), pattern)


# only forms that nothing else has: what training code is likely to hold
SHAPES = (
    _shape("Hugging Face token", "hf_", "[A-Za-z]{34}"),
    _shape("Hugging Face organisation token", "api_org_", "[A-Za-z]{34}"),
    _shape("W&B key", "wandb_v1_", "[A-Za-z0-9_]{60,100}"),
    _shape("GitHub token", "ghp_", "[A-Za-z0-9]{36}"),
    _shape("GitHub token", "github_pat_", "[A-Za-z0-9_]{82}"),
    _shape("GitLab token", "glpat-", "[A-Za-z0-9_-]{20}"),
    _shape("AWS access key", "AKIA", "[A-Z2-7]{16}"),
    _shape("Google key", "AIza", "[A-Za-z0-9_-]{35}"),
    _shape("OpenAI key", "sk-proj-", "[A-Za-z0-9_-]{40,200}"),
    _shape("Anthropic key", "sk-ant-", "[A-Za-z0-9_-]{80,120}"),
    _shape("PyPI token", "pypi-AgEIcHlwaS5vcmc", "[A-Za-z0-9_-]{50,200}"),
    _shape("Slack token", "xoxb-", "[0-9]{10,13}-[0-9]{10,13}-[A-Za-z0-9]{24}"),
    Shape(
        "private key",
        b"-----BEGIN ",
        late(rb"-----BEGIN (?:RSA |EC |OPENSSH |DSA )?PRIVATE KEY-----[\s\\nrA-Za-z0-9+/=\"',]{200,8000}?-----END"),
    ),
)


def shaped_secrets(data: bytes) -> Iterator[tuple[Shape, int, bytes]]:
    """Yield (shape, offset, text) of everything in a text that has the form of a credential and is no placeholder."""
    for shape in SHAPES:
        if shape.prefix in data:
            for match in shape.pattern.finditer(data):
                body = match[0][len(shape.prefix) :]
                if _SIGNED.search(data, max(0, match.start() - _LONGEST_NAME), match.start()):
                    continue
                if shape.name == "private key" or (not _PLACEHOLDER.search(body) and entropy(body) >= _LEAST_ENTROPY):
                    yield shape, match.start(), match[0]


def looks_live(text: str) -> bool:
    """Say whether a literal that is passed as a credential could be a real one."""
    data = text.encode("utf-8", "replace")
    has_digit = any(character.isdigit() for character in text) or (text != text.lower() and text != text.upper())
    return bool(_LIVE.match(text) and has_digit and not _PLACEHOLDER.search(data) and entropy(data) >= _LEAST_ENTROPY)


def is_filler(text: str) -> bool:
    """Say whether a text stands where a password could and is none: a number, a word too short, a placeholder."""
    return len(text) < _LEAST_PASSWORD or text.isdecimal() or bool(_PLACEHOLDER.search(text.encode("utf-8", "replace")))


def entropy(data: bytes) -> float:
    """Return Shannon's entropy of the bytes, in bits a byte."""
    total = len(data)
    return -sum(count / total * math.log2(count / total) for count in Counter(data).values()) if total else 0.0
