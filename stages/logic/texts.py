"""Which files are worth reading at all, by the words in their text: a search for plain bytes costs next to nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from stages._source.patterns import late


@dataclass(frozen=True, slots=True)
class Words:
    """Some words of which a text must have one.

    A regular expression of alternatives has no prefix to search for and is ten times slower than one search for each.

    Args:
        anywhere: bytes as they stand, also inside a longer word.
        patterns: expressions that begin with plain bytes, which CPython then searches for.
    """

    anywhere: tuple[bytes, ...]
    patterns: tuple[re.Pattern[bytes], ...] = ()

    def within(self, data: bytes | None) -> bool:
        """Say whether a text has one of the words; no text has none."""
        return data is not None and (
            any(word in data for word in self.anywhere)
            or any(pattern.search(data) is not None for pattern in self.patterns)
        )


_SCALER = late(rb"caler\b")  # scaler, Scaler; not scalers or rescaled
_AMP = late(rb"amp(?<!\wamp)(?!\w)")  # the word by itself

AMP_TEXT = Words(
    (
        *(b"autocast", b"GradScaler", b"accelerator", b"Accelerator", b"fabric", b"LightningModule"),
        *(b"manual_backward", b"bfloat16", b"float16", b".half(", b"unscale_"),
    ),
    (_SCALER, _AMP),
)
# without any of this, a file has no step of training in it, whatever dtypes it names
STEPS_TEXT = Words(
    (
        *(b"autocast", b"GradScaler", b"unscale_", b"backward", b"ccelerator", b"abric"),
        *(b"clip_grad", b".half(", b"zero_grad"),
    ),
    (_SCALER, _AMP),
)
# code without any of this neither enters autocast nor casts to half by itself: it passes no such dtype to a call, and
# enters nothing but what it makes on the spot
LOW_TEXT = Words(
    (b"autocast",),
    (
        late(rb"half(?<!\whalf)\s*[(,)#\\\[]"),
        late(rb"float16\s*[(,)#\\\[]"),
        late(rb"^[ \t]*(?:async[ \t]+)?with\b(?![ \t]+[\w.]+\([^\n,]*\)[ \t]*(?:as[ \t]+\w+[ \t]*)?:)", re.MULTILINE),
    ),
)
# a function in a file without any of this cannot change what becomes of a gradient
TRAINING_TEXT = Words(
    (
        *(b"backward", b"unscale", b"autocast", b"caler", b"clip_grad", b"zero_grad", b"optimizer", b"optim."),
        *(b"ccelerator", b"abric", b"LightningModule", b".half(", b"float16", b"nullcontext", b".step("),
        *(b".grad.", b".grad)", b".grad,", b"register_hook"),
    )
)
# what acts on gradients, in functions that are worth being followed into
ACTS_TEXT = Words(
    (
        *(b"backward", b"unscale", b"clip_grad", b"zero_grad", b"GradScaler", b"autocast", b".step("),
        *(b"nullcontext", b"Accelerator", b".grad.", b".grad)", b".grad,", b"register_hook"),
    ),
    (_SCALER, late(rb"optim\.[A-Z]")),
)
