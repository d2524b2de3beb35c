"""Decides whether a preset is of the machine at hand: its architecture, its device, and the name of that. No torch."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from amp_runtime.calibration.machine import cuda_name
from amp_runtime.calibration.preset import names_device

if TYPE_CHECKING:
    from amp_runtime.calibration.machine import Machine
    from amp_runtime.calibration.preset import Preset

_SHOWN = 40


def mismatches(preset: Preset, machine: Machine, gpu_name: str | None = None) -> tuple[str, ...]:
    """Say what speaks against a preset being of this machine; empty where all that can be seen fits.

    Args:
        gpu_name: of the GPU that is to be measured, as PyTorch has it; None: as the system names it, if it does.
    """
    found = []
    if machine.architecture not in preset.platforms:
        found.append(f"it is of {' or '.join(preset.platforms)}, and this machine is {machine.architecture}")
    found += _of_gpu(preset, machine, gpu_name) if preset.device == "cuda" else _of_cpu(preset, machine)
    return tuple(found)


def _of_gpu(preset: Preset, machine: Machine, gpu_name: str | None) -> list[str]:
    name = gpu_name or cuda_name(machine)
    if name is None:
        here = "has GPUs of several kinds" if len(set(machine.cuda_devices or ())) > 1 else "has no CUDA device"
        return [f"it is of {preset.hardware_name}, and this machine {here}"]
    if not names_device(preset, name):
        return [f"it is of {preset.hardware_name}, and this GPU is {_cut(name)}"]
    if preset.board and re.fullmatch(preset.board, machine.board, re.IGNORECASE) is None:
        return [f"it is of {preset.hardware_name}, and this board is {_cut(machine.board) or 'unknown'}"]
    return []


def _of_cpu(preset: Preset, machine: Machine) -> list[str]:
    by_id = not preset.cpu_ids or machine.cpu_id in preset.cpu_ids
    if not by_id or not names_device(preset, machine.cpu_model):
        shown = f"{_cut(machine.cpu_model)}{f' ({machine.cpu_id})' if machine.cpu_id else ''}"
        return [f"it is of {preset.hardware_name}, and this CPU is {shown}"]
    if missing := [flag for flag in preset.flags if flag not in machine.cpu_flags]:
        return [f"it needs {', '.join(missing)}, which this CPU does not have"]
    return []


def _cut(text: str) -> str:
    shown = text if text.isprintable() else ascii(text)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
