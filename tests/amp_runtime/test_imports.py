import subprocess
import sys

import pytest

TORCH_FREE = [
    "amp_runtime",
    "amp_runtime.precision",
    "amp_runtime.config",
    "amp_runtime.config_table",
    "amp_runtime.accumulation",
]


@pytest.mark.parametrize("module", TORCH_FREE)
def test_configuration_can_be_read_without_torch(module):
    code = f"import sys; sys.modules['torch'] = None; import {module}"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
