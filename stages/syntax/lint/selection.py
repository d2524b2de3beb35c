"""Decides which of ruff's rules count as lint errors: those that name a defect, never a style.

The verified project's own ruff configuration is neither read nor obeyed, so that every project is measured by the
same rules. Left out on purpose:

- names and imports (F821 to F823, F403, F405), syntax (F6xx and F7xx that CPython refuses or warns of), formatting,
  sorting, upgrades of old syntax: other checks report them, or nobody needs them to merge;
- F722, which takes the shapes in jaxtyping's annotations for broken Python;
- B008, B018, B020, B023, B904, B905, F541 and their like: on nine large training libraries nearly every hit of theirs
  ran as its author meant it.

F401, F811, F841, B006 and B015 are refined further in `refine.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

# what the rules of a group say about the code -> the rules
GROUPS: Mapping[str, tuple[str, ...]] = {
    "code that raises when it runs": (
        "F50", "F52", "F633", "F901", "B002", "B016", "B029", "RUF008", "RUF026",
        "PLE0100", "PLE0101", "PLE0237", "PLE0241", "PLE0302", "PLE0303", "PLE0305", "PLE0307", "PLE0308", "PLE0309",
        "PLE0604", "PLE0605", "PLE0643", "PLE1132", "PLE1205", "PLE1206", "PLE1300", "PLE1307", "PLE1507", "PLE1519",
        "PLE1520", "PLW0245", "PLW1501",
    ),
    "code that does something else than it says": (
        "F402", "F601", "F602", "F634", "B003", "B006", "B012", "B015", "B022", "B025", "B031", "B032", "B035", "B039",
        "PLE1310", "PLW0129", "PLW0133", "PLW0177", "PLW0711", "RUF030",
    ),
    "code without effect": ("F401", "F811", "F841"),
    "debugging left behind": ("T100",),
}  # fmt: skip
SELECT = tuple(code for codes in GROUPS.values() for code in codes)
MOST_ERRORS = 4  # "fewer than 5 pass"

# ruff's word for what its own parser refuses; of that, only syntax newer than `requires-python` is news
VERSION_SYNTAX = "invalid-syntax"
