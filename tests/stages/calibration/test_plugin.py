from __future__ import annotations

import subprocess
import sys

from stages.calibration.plugin import verifier_calibrators


def test_the_program_exists_and_finding_it_loads_neither_torch_nor_what_measures() -> None:
    (calibrator,) = verifier_calibrators()
    assert calibrator.program.name == "start.py"
    assert calibrator.program.is_file()
    code = "import sys, stages.calibration.plugin; print([m for m in sys.modules if m.startswith(('torch', 'amp_'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
