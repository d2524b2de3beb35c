"""Which number an expression is."""

from __future__ import annotations

import ast

import pytest

from stages.logic.dtypes.numbers import number_of
from tests.stages.logic.dtypes.probing import project_of

FILE = """
    import math
    import numpy as np
    import torch
    from constants import EPS, TWICE
    import constants

    LARGE = 1e9

    class Layer:
        floor = 1e-12

        def __init__(self, eps=1e-6):
            self.eps = eps

        def forward(self, x, small=1e-8):
            return [{expression}]
"""


@pytest.mark.parametrize(
    ("expression", "number"),
    [
        ("-1e9", -1e9),
        ("1 - 1e-7", 1 - 1e-7),
        ("2 ** 15", 32768.0),
        ("float('-inf')", float("-inf")),
        ("-LARGE", -1e9),
        ("EPS", 1e-10),
        ("constants.EPS", 1e-10),
        ("self.floor", 1e-12),
        ("self.eps", 1e-6),
        ("small", 1e-8),
        ("-np.inf", float("-inf")),
        ("torch.finfo(torch.float16).min", -65504.0),
        ("torch.finfo(torch.float32).max", 3.4028235e38),
        ("torch.finfo(x.dtype).min", None),
        ("TWICE", None),
        ("x", None),
        ("True", None),
        ("1 / 0", None),
        ("10.0 ** 1000", None),
    ],
)
def test_number_is_followed_to_where_it_is_written(expression: str, number: float | None) -> None:
    constants = "EPS = 1e-10\nTWICE = 1\nTWICE = 2\n"
    project = project_of({"layer.py": FILE.replace("{expression}", expression), "constants.py": constants})
    module = project.module("layer.py")
    assert module is not None
    (scope,) = module.scopes.defined("Layer.forward")
    (returned,) = scope.returns
    assert isinstance(returned, ast.List)
    assert number_of(project, returned.elts[0], scope) == number
