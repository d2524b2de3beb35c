"""What installed distributions say of themselves."""

from __future__ import annotations

import sys
from importlib import metadata

from stages._source.distributions import Distributions
from stages._source.requirements import Requirement, normalise


def test_the_modules_of_what_is_installed_here_are_those_that_importlib_knows() -> None:
    known = Distributions(sys.path)
    for module, names in metadata.packages_distributions().items():
        if not module.isidentifier():
            continue
        for name in names:
            assert module in (known.modules(normalise(name)) or {module})
    assert known.modules("pyyaml") == {"yaml", "_yaml"}


def test_what_comes_along_is_followed_to_the_end() -> None:
    known = Distributions(sys.path)
    brought, _ = known.closure([Requirement(name="pytest", role="runtime")])
    assert {"pytest", "pluggy", "iniconfig"} <= brought
    assert "hypothesis" not in brought  # of an extra
    assert known.closure([Requirement(name="iniconfig", role="runtime")]) == ({"iniconfig"}, True)
    assert known.closure([Requirement(name="no-such-distribution", role="runtime")]) == (
        {"no-such-distribution"},
        False,
    )


def test_a_plugin_is_known_by_its_entry_points() -> None:
    known = Distributions(sys.path)
    assert known.is_plugin("hypothesis")
    assert not known.is_plugin("click")
    assert not known.is_plugin("no-such-distribution")
