"""What autocast does to each operator of a device type, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Category(StrEnum):
    """How autocast treats an operator's tensors; float64 and integers are left alone by all but `BANNED`.

    The names are those of PyTorch's `at::autocast::CastPolicy`, and `BANNED` for operators that raise.
    """

    LOWER_PRECISION_FP = "lower_precision_fp"  # cast to autocast's dtype
    FP32 = "fp32"  # cast to float32
    FP32_SET_OPT_DTYPE = "fp32_set_opt_dtype"  # asked for a float32 result, unless the call names a dtype
    FP32_APPEND_DTYPE = "fp32_append_dtype"  # sent to the overload with a dtype, asking for float32
    PROMOTE = "promote"  # cast to the widest dtype among them
    BANNED = "banned"  # refused with an explanation
    OTHER = "other"  # a kernel that fits none of these


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """What autocast does to one operator.

    Args:
        category: which of the treatments.
        target: the overload that runs; another than the one called for `FP32_APPEND_DTYPE` only.
        message: what is raised, for `BANNED`; what was seen, for `OTHER`.
    """

    category: Category
    target: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AutocastPolicy:
    """The table of one device type.

    Args:
        device_type: `"cuda"` or `"cpu"`.
        torch_version: of the PyTorch that was asked.
        treatments: by qualified name of the overload, such as `"aten::softmax.int"`; absent means autocast leaves it.
    """

    device_type: str
    torch_version: str
    treatments: Mapping[str, Treatment]

    def category(self, operator: str) -> Category | None:
        """Return how an overload is treated, None where autocast leaves it alone."""
        found = self.treatments.get(operator)
        return None if found is None else found.category
