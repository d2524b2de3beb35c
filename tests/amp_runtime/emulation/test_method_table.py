from __future__ import annotations

from pathlib import Path

import pytest
import torch

from amp_runtime.emulation.method_table import UnsupportedBuildError, _slots

INCLUDE = Path(torch.__file__).parent / "include"


def test_methods_are_numbered_in_the_order_of_their_declaration(tmp_path):
    header = tmp_path / "shape.h"
    header.write_text(
        "struct Shape {\n  virtual ~Shape() = default;\n  virtual bool closed() const {\n    return false;\n  }\n"
        "  int plain();\n  virtual const std::vector<int>& sizes(\n      int of) const = 0;\n};\n"
        "struct Circle : Shape {\n  bool closed() const override;\n};\n"
    )
    assert _slots(header) == ["~Shape", "~Shape", "closed", "sizes"]


def test_the_headers_of_the_wheel_declare_what_is_looked_for():
    hooks = _slots(INCLUDE / "ATen/detail/AcceleratorHooksInterface.h")
    assert {"isBuilt", "isAvailable", "hasPrimaryContext", "init", "getPinnedMemoryAllocator"} <= set(hooks)
    guard = _slots(INCLUDE / "c10/core/impl/DeviceGuardImplInterface.h")
    assert {"getDevice", "exchangeDevice"} <= set(guard)


def test_a_build_without_headers_is_named(tmp_path):
    with pytest.raises(UnsupportedBuildError, match=r"gone\.h cannot be read"):
        _slots(tmp_path / "gone.h")
