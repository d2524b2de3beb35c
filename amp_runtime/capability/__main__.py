"""`python -m amp_runtime.capability [DEVICE ...] [--json]`: what the devices of this machine can compute in."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from amp_runtime.capability.judging import capability_of
from amp_runtime.device import available_devices

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Print every device named, or else every one there is; return 2 where a device is unknown, after one sentence."""
    parser = argparse.ArgumentParser(prog="python -m amp_runtime.capability", description=__doc__)
    parser.add_argument("devices", nargs="*", metavar="DEVICE", help="cpu, cuda:0, xpu, mps; default: all of them")
    parser.add_argument("--json", action="store_true", help="as a list of objects")
    options = parser.parse_args(arguments)
    try:
        found = [capability_of(device) for device in options.devices or available_devices()]
    except ValueError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps([capability.as_dict() for capability in found], indent=2))
    else:
        print("\n\n".join(capability.as_text() for capability in found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
