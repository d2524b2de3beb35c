from __future__ import annotations

import pytest
import torch

from amp_runtime.emulation import guard, is_emulating
from amp_runtime.emulation.method_table import UnsupportedBuildError


def test_a_release_without_the_guard_is_refused_before_anything_is_changed(monkeypatch):
    monkeypatch.delattr(torch._C, "_ensureCUDADeviceGuardSet")
    with pytest.raises(UnsupportedBuildError, match=r"cannot be emulated with PyTorch .*: use 2\.13 or newer"):
        guard.claim_device()
    assert not is_emulating()


def test_a_library_that_hides_a_symbol_is_named():
    with pytest.raises(UnsupportedBuildError, match=r"libc10\.\w+ does not show no_such_symbol"):
        guard._symbol("c10", "no_such_symbol")


def test_a_library_that_is_not_there_is_named():
    with pytest.raises(UnsupportedBuildError, match=r"libnothing\.\w+ does not show"):
        guard._symbol("nothing", "no_such_symbol")
