"""The guide's code runs, its figures are those of the formats, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from amp_runtime.capability import judge
from tests.amp_runtime.capability.devices import amd, apple, cpu, intel, lacking, levels, nvidia

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "precision_guide.md").read_text("utf-8")
CODE = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


def test_the_blocks_run_one_after_the_other(capsys):
    assert len(CODE) > 5
    exec(compile("\n".join(CODE), str(DOCS / "precision_guide.md"), "exec"), {})
    assert "ScaleChange(step=1, scale=4096.0, cause='start')" in capsys.readouterr().out


def rows(first):
    """Return the cells of each row of the table whose head begins with `first`."""
    lines = GUIDE[GUIDE.index(f"| {first} |") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


FORMATS = {
    "FP32": torch.float32,
    "BF16": torch.bfloat16,
    "FP16": torch.float16,
    "FP8 E4M3 (fn)": torch.float8_e4m3fn,
    "FP8 E5M2": torch.float8_e5m2,
}


@pytest.mark.parametrize("row", [row for row in rows("| bits") if row[0] in FORMATS], ids=lambda row: row[0])
def test_the_table_of_formats_is_what_torch_says(row):
    name, bits, exponent, mantissa, largest, smallest, step, whole = row
    info = torch.finfo(FORMATS[name])
    assert int(bits) == info.bits == 1 + int(exponent) + int(mantissa)
    assert 2.0 ** -int(mantissa) == info.eps
    for written, exact in ((largest, info.max), (smallest, info.tiny), (step, info.eps)):
        assert float(written.replace(",", "")) == pytest.approx(exact, rel=0.05)
    last = int(whole.replace(",", ""))
    assert last == 2 ** (int(mantissa) + 1)
    rounded = torch.tensor([last, last + 1]).to(FORMATS[name]).float()
    assert rounded[0] == last
    assert rounded[1] != last + 1 or name == "FP32"


FP8 = ("fp8_e4m3fn", "fp8_e5m2", "fp8_e4m3fnuz", "fp8_e5m2fnuz")
XMX = dict.fromkeys(("fp64", "fp16", "bf16", "tf32", "int8"), True)
# The devices of each row; what fails on them is what the row calls absent.
DEVICES = {
    "x86, AVX-512": [cpu("avx512f")],
    "x86, Intel Cooper Lake": [cpu("avx512_bf16", "avx512_vnni")],
    "x86, Intel Sapphire": [cpu("amx_bf16", "avx512_fp16", "amx_int8")],
    "x86, Intel Granite": [cpu("amx_bf16", "avx512_fp16", "amx_int8", "amx_fp16")],
    "Arm, Neoverse N1": [cpu("asimdhp", "asimddp")],
    "Arm, Neoverse V1": [cpu("asimdhp", "asimddp", "bf16", "i8mm")],
    "NVIDIA Pascal": [nvidia(6, 1)],
    "NVIDIA Volta": [nvidia(7, 0), nvidia(7, 5)],
    "NVIDIA Ampere": [nvidia(8, 0), nvidia(8, 6)],
    "NVIDIA Ada": [nvidia(8, 9), nvidia(9, 0), nvidia(10, 0), nvidia(12, 0)],
    "AMD MI100": [amd("gfx908"), amd("gfx90a")],
    "AMD MI300": [amd("gfx942")],
    "AMD MI350": [amd("gfx950")],
    "AMD RX 6000": [amd("gfx1030")],
    "AMD RX 7000": [amd("gfx1100")],
    "Intel GPU": [intel(**XMX)],
    "Apple GPU, M1": [apple("Apple M1"), apple("Apple M2 Ultra")],
    "Apple GPU, from M3": [apple("Apple M3"), apple("Apple M4 Max")],
}


def test_the_table_of_devices_has_no_row_without_a_device():
    assert [row[0].startswith(name) for row, name in zip(rows("device"), DEVICES, strict=True)] == [True] * len(DEVICES)


@pytest.mark.parametrize("row", rows("device"), ids=lambda row: row[0])
def test_the_table_of_devices_is_what_the_library_says(row):
    said = dict(zip(("bf16", "fp16", "tf32", "fp8", "int8"), row[1:6], strict=True))
    absent = [dtype for dtype in ("tf32", "int8") if said[dtype] == "absent"]
    absent += FP8 if said["fp8"] == "absent" else []
    for device in DEVICES[next(name for name in DEVICES if row[0].startswith(name))]:
        found = levels(judge(device, lacking(*absent)))
        found["fp8"] = found["fp8_e4m3fnuz" if "fnuz" in said["fp8"] else "fp8_e4m3fn"]
        for dtype, level in said.items():
            assert level == "by trying" or found[dtype] == level.split(" (")[0], (dtype, device)


@pytest.mark.parametrize("page", ["precision_guide.md", "troubleshooting.md"])
def test_links_within_the_documentation_lead_somewhere(page):
    text = (DOCS / page).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#\s]*(?:#[^)\s]*)?)\)", text):
        name, _, anchor = target.partition("#")
        file = DOCS / (name or page)
        assert file.is_file(), target
        titles = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
        assert not anchor or anchor in {
            re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles
        }, target
