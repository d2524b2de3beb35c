import subprocess
import sys


def test_without_lightning_the_error_names_the_extra():
    code = "import sys; sys.modules['lightning'] = None; import amp_runtime.lightning"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: amp_runtime.lightning needs the package lightning; install verify-amp[lightning]"
    )
