"""`python -m amp_runtime.calibration`: what `verify calibrate` does, without the rest of the verifier."""

from __future__ import annotations

import sys

from amp_runtime.calibration.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
