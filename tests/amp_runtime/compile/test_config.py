import pytest

from amp_runtime.compile.config import CompileConfig
from amp_runtime.precision import Precision


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"precisions": ("fp64",)}, "fp64"),
        ({"precisions": ()}, "empty"),
        ({"passes": ("training",)}, "training"),
        ({"samples": 3}, "at least 6"),
        ({"samples": True}, "at least 6"),
        ({"mode": "default", "options": {}}, "mode or options"),
        ({"backend": 3}, "backend"),
    ],
)
def test_what_cannot_be_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        CompileConfig(**given)


def test_precisions_of_the_library_are_names():
    assert CompileConfig(precisions=(Precision.FP32, Precision.BF16)).precisions == ("fp32", "bf16")
