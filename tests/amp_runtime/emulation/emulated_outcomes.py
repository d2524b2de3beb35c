"""`python emulated_outcomes.py`: emulate CUDA, make every call of `calls.py` and print dtype or error as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from amp_runtime.emulation import emulate

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    emulate()
    from calls import outcomes

    print(json.dumps({str(low): outcomes("cuda", low) for low in (torch.float16, torch.bfloat16)}))
