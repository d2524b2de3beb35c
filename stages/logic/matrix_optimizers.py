"""Decides which optimizers multiply matrices in `step`, which autocast would do in half."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stages._source.patterns import late

if TYPE_CHECKING:
    from stages.logic.engine.values import Optimizer

# Muon is none of them: it goes to bfloat16 by itself, whatever autocast says
_NAMES = late(r"shampoo|lbfgs|soap|k-?fac|kron|psgd|galore|sophiah|natgrad|ngd", re.I)


def computes_with_matrices(optimizer: Optimizer) -> bool:
    return _NAMES.search(optimizer.cls.rpartition(".")[2]) is not None
