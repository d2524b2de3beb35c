from __future__ import annotations

import math
import subprocess
import sys
from xml.etree import ElementTree

from reports import plots
from tests.builders import run_report, stage_result

SVG = "{http://www.w3.org/2000/svg}"


def workload(name="char_lm", fp32=(3.0, 2.5, 2.0), amp=(3.0, 2.6, 2.1)):
    return {
        "name": name,
        "device": "cpu",
        "steps": len(fp32),
        "fp32": {"precision": "float32", "losses": list(fp32)},
        "amp": {"precision": "bfloat16", "losses": list(amp)},
    }


def words(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def report(*workloads):
    return run_report(stage_result(name="integration", facts={"workloads": list(workloads)}))


def test_a_plot_names_its_axes_curves_precision_and_device():
    shown = words(plots.draw_losses(workload()))
    assert "char_lm on cpu: loss in FP32 and under AMP" in shown
    assert {"training loss", "optimizer step", "FP32 (float32)", "AMP (bfloat16)"} <= set(shown)
    assert "AMP \N{MINUS SIGN} FP32" in shown


def test_the_same_figures_give_the_same_bytes_without_a_date():
    first, second = plots.draw_losses(workload()), plots.draw_losses(workload())
    assert first == second
    assert "<dc:date>" not in first


def test_the_curves_differ_in_lightness_and_dash():
    assert plots._FP32["linewidth"] > 2 * plots._AMP["linewidth"]
    lightness = [sum(int(style["color"][i : i + 2], 16) for i in (1, 3, 5)) for style in (plots._FP32, plots._AMP)]
    assert lightness[0] > 2 * lightness[1]
    assert "linestyle" not in plots._FP32
    assert plots._AMP["linestyle"] == "--"


def test_losses_that_are_not_finite_leave_a_gap_and_are_counted():
    shown = words(plots.draw_losses(workload(amp=(3.0, "NaN", math.inf))))
    assert "AMP (bfloat16, 2 of 3 not finite)" in shown


def test_runs_of_different_length_are_drawn_without_a_difference():
    shown = words(plots.draw_losses(workload(amp=(3.0,))))
    assert "AMP (bfloat16)" in shown
    assert "AMP \N{MINUS SIGN} FP32" not in shown


def test_any_name_can_be_drawn():
    shown = words(plots.draw_losses(workload(name="$x_1$ \u0cdd\x1b<b>")))
    assert shown[-1].startswith("$x_1$") or any(text.startswith("$x_1$ \\u0cdd\\x1b<b>") for text in shown)


def test_no_precision_is_too_long_for_the_picture():
    run = {"precision": "\U0009734f" * 60, "losses": [2.0, 1.0]}
    assert words(plots.draw_losses({"name": "w", "device": "cpu", "fp32": run, "amp": run}))


def test_files_are_distinct_and_harmless():
    drawn = plots.loss_plots(report(workload("../a b"), workload("a.b"), workload("!")))
    assert [file for file, _ in drawn.values()] == [
        "plots/loss-a-b.svg",
        "plots/loss-a-b-2.svg",
        "plots/loss-workload.svg",
    ]


def test_a_workload_without_losses_has_no_plot():
    assert plots.loss_plots(report(workload(fp32=(), amp=()))) == {}


def test_drawing_leaves_pyplot_alone():
    code = (
        "import sys; from reports import plots;"
        "plots.draw_losses({'name': 'w', 'fp32': {'losses': [2.0, 1.0]}});"
        "assert 'matplotlib.figure' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
