"""Where a random import stands: what decides when, and whether, it runs."""

from __future__ import annotations

import re
import textwrap
from random import Random

_CERTAIN = (
    "True", "sys.version_info >= (3, 0)", "not False", "sys.platform != 'never'", "os.name", "not TYPE_CHECKING",
    "TYPE_CHECKING is False", "sys.version_info[0] > 2 and 1",
)  # fmt: skip
_CAUGHT = ("ImportError", "ImportError", "AttributeError", "Exception", "(ImportError, AttributeError)", "")
_IMPORTED = re.compile(r"from \S+ import (?:\w+ as )?(\w+)\Z")


def placed(random: Random, lines: list[str], instead: list[str]) -> list[str]:
    """Put lines at module level, or into one of the places that change whether they run; `instead` are others."""
    choice = random.random()
    has_star = any("import *" in line for line in [*lines, *instead])
    if choice < 0.4:
        return lines
    if choice < 0.47 and not has_star and not _has_comprehension(lines):
        return ["class Holder:", *indented(lines)]
    if choice < 0.54:
        return [f"if {random.choice(_CERTAIN)}:", *indented(lines)]
    if choice < 0.59:
        return _for_types(random, lines, instead)
    if choice < 0.71:
        return _tried(random, lines, instead)
    if choice < 0.75:
        caught = random.choice(["ImportError", "ImportError, AttributeError", "Exception", "NameError"])
        return [f"with contextlib.suppress({caught}):", *indented(lines)]
    if choice < 0.78:
        return ["try:", *indented(lines), "finally:", *(indented(instead) if choice < 0.77 else ["    done = 1"])]
    if choice < 0.8:
        return ["for turn in (1, 2):", *indented(lines)]
    if choice < 0.87:
        return _asking_first(random, lines, instead)
    return lines if has_star else _in_function(random, lines)


def _for_types(random: Random, lines: list[str], instead: list[str]) -> list[str]:
    flag = random.choice(["typing.TYPE_CHECKING", "TYPE_CHECKING"])
    otherwise = indented(instead) if random.random() < 0.5 else ["    unchecked = 1"]
    return [f"if {flag}:", *indented(lines), "else:", *otherwise]


def _tried(random: Random, lines: list[str], instead: list[str]) -> list[str]:
    caught = random.choice(_CAUGHT)
    handler = random.choice(
        [["pass"], ["v2 = None"], ["x1 = None"], ["raise"], instead, ["raise ImportError('not there') from None"]]
    )
    block = ["try:", *indented(lines), f"except {caught}:" if caught else "except:", *indented(handler)]
    if random.random() < 0.2:
        block += ["else:", *indented(instead)]
    if random.random() < 0.1:
        block += ["finally:", "    done = 1"]
    name = _IMPORTED.match(lines[0])
    kept = name is not None and not any(line.startswith("del ") for line in lines)
    return [*block, f"used = {name[1]}"] if name and kept and random.random() < 0.4 else block


def _asking_first(random: Random, lines: list[str], instead: list[str]) -> list[str]:
    """Return lines that depend on a name which a cycle may leave unset."""
    name = _IMPORTED.match(lines[0])
    if name is None:
        return lines
    tried = ["try:", *indented(lines[:1]), f"except {random.choice(['ImportError', 'Exception'])}:"]
    tests = [f"{name[1]} is not None", f"{name[1]} is None", f"not {name[1]}", f"{name[1]}", f"{name[1]} != None"]
    there = random.choice(["there = True", "there = False"])
    return random.choice(
        [
            [*tried, f"    {name[1]} = None", f"if {random.choice(tests)}:", *indented(instead)],
            [*tried, f"    {name[1]} = None", f"if {name[1]} is None:", *indented(instead), "else:", "    ready = 1"],
            [
                "there = True",
                *tried,
                "    there = False",
                f"if {random.choice(['', 'not '])}there:",
                *indented(instead),
            ],
            [*tried, "    there = False", "else:", "    there = True", "if there:", *indented(instead)],
            [*tried, f"    {name[1]} = None", f"if {name[1]} is None:", "    raise ImportError('not there')"],
            [there, "if there:", *indented(lines), "else:", *indented(instead)],
        ]
    )


def _in_function(random: Random, lines: list[str]) -> list[str]:
    body = ["def lazy():", *indented(lines)]
    return [*body, "lazy()"] if random.random() < 0.4 else body


def _has_comprehension(lines: list[str]) -> bool:
    return any(" for " in line for line in lines)


def indented(lines: list[str]) -> list[str]:
    return textwrap.indent("\n".join(lines), "    ").splitlines()
