import math
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from amp_runtime import plots
from amp_runtime.history import History, StepRecord, ValidationRecord
from amp_runtime.metrics import Metrics
from amp_runtime.metrics_tracker import MetricsTracker

ROOT = Path(__file__).parents[2]
PLOTS = {
    "loss": plots.plot_loss,
    "perplexity": plots.plot_perplexity,
    "grad_norm": plots.plot_grad_norm,
    "learning_rate": plots.plot_learning_rate,
    "loss_scale": plots.plot_loss_scale,
    "run": plots.plot_run,
}


def history(steps=120, *, scaled=True, skipped=(10, 40), loss=lambda number: 2 / number + 0.1):
    records = tuple(
        StepRecord(
            number=number,
            epoch=1 + number // 60,
            loss=math.inf if number in skipped else loss(number),
            examples=8,
            grad_norm=math.nan if number in skipped else 1 / number,
            lr=0.1 / number,
            skipped=number in skipped,
            withheld=False,
            scale=2.0 ** (16 - number // 30) if scaled else None,
            step_s=0.01,
            wait_s=0.001,
        )
        for number in range(1, steps + 1)
    )
    validations = tuple(
        ValidationRecord(step=step, epoch=1, metrics=Metrics(loss=loss(step) + 0.2, examples=8), seconds=0.1)
        for step in range(20, steps + 1, 20)
    )
    return History(steps=records, validations=validations)


def lines_of(figure, place=0):
    return {line.get_label(): line for line in figure.axes[place].lines}


def test_training_and_validation_loss_are_drawn_where_they_were_measured():
    run = history(steps=30, skipped=(10,))
    lines = lines_of(plots.plot_loss(run))
    assert list(lines["training"].get_xdata()) == [number for number in range(1, 31) if number != 10]
    assert list(lines["training"].get_ydata()) == [record.loss for record in run.steps if not record.skipped]
    assert list(lines["validation"].get_xdata()) == [20]
    assert lines["training"].get_color() != lines["validation"].get_color()
    assert lines["validation"].get_marker() == "o"


def test_many_steps_get_a_running_mean():
    lines = lines_of(plots.plot_loss(history(steps=200, skipped=())))
    assert set(lines) == {"training, each step", "mean of 8 steps", "validation"}
    values = lines["training, each step"].get_ydata()
    assert lines["mean of 8 steps"].get_ydata()[100] == pytest.approx(sum(values[93:101]) / 8)


def test_the_loss_scale_has_powers_of_two_and_marks_skipped_steps():
    figure = plots.plot_loss_scale(history())
    (axes,) = figure.axes
    lines = lines_of(figure)
    assert axes.get_yscale() == "log"
    assert all(math.log2(tick).is_integer() for tick in axes.get_yticks())
    assert list(lines["skipped step (2)"].get_xdata()) == [10, 40]
    assert list(lines["skipped step (2)"].get_ydata()) == [2.0**16, 2.0**15]
    assert list(lines["loss scale"].get_ydata()) == list(history().scales)


def test_steps_without_a_gradient_norm_are_marked_and_not_drawn():
    lines = lines_of(plots.plot_grad_norm(history()))
    assert list(lines["inf or NaN (2)"].get_xdata()) == [10, 40]
    assert all(math.isfinite(value) for value in lines["norm, each step"].get_ydata())


def test_perplexity_is_e_to_the_loss_and_one_that_overflows_is_left_out():
    lines = lines_of(
        plots.plot_perplexity(history(steps=20, skipped=(), loss=lambda number: 1e4 if number == 3 else 1.0))
    )
    assert list(lines["training"].get_xdata()) == [number for number in range(1, 21) if number != 3]
    assert list(lines["training"].get_ydata()) == [math.e] * 19


def drawn(axis, limits):
    """The labels of the ticks that are in the picture; matplotlib keeps some beyond its edges."""
    low, high = sorted(limits)
    ticks = axis.get_major_ticks()
    return [tick.label1 for tick in ticks if low <= tick.get_loc() <= high]


@pytest.mark.parametrize("name", PLOTS)
def test_axes_are_labelled_and_no_text_overlaps_another(name):
    figure = PLOTS[name](history())
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    boxes = []
    for axes in figure.axes:
        assert axes.get_xlabel() == "optimizer step"
        assert axes.get_ylabel()
        named = len(axes.get_legend_handles_labels()[0])
        assert (axes.get_legend() is not None) == (named > 1)
        texts = [axes._left_title, axes.xaxis.label, axes.yaxis.label, axes.xaxis.offsetText, axes.yaxis.offsetText]
        texts += drawn(axes.xaxis, axes.get_xlim()) + drawn(axes.yaxis, axes.get_ylim())
        boxes += [text.get_window_extent(renderer) for text in texts if text.get_text() and text.get_visible()]
        if axes.get_legend() is not None:
            boxes.append(axes.get_legend().get_window_extent(renderer))
            assert not axes.get_legend().get_window_extent(renderer).overlaps(axes.get_window_extent(renderer))
    whole = figure.bbox
    assert all(whole.x0 <= box.x0 and box.x1 <= whole.x1 for box in boxes)
    assert all(whole.y0 <= box.y0 and box.y1 <= whole.y1 for box in boxes)
    overlapping = [
        (a, b) for place, a in enumerate(boxes) for b in boxes[:place] if a.padded(-1).overlaps(b.padded(-1))
    ]
    assert overlapping == []


def test_pictures_are_written_and_the_loss_scale_only_where_there_was_one(tmp_path):
    written = plots.save_plots(history(), tmp_path / "fp16")
    assert [path.stem for path in written] == list(PLOTS)
    assert all(path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 10_000 for path in written)
    written = plots.save_plots(MetricsTracker.of(history(scaled=False)), tmp_path / "bf16")
    assert [path.stem for path in written] == [name for name in PLOTS if name != "loss_scale"]
    assert len(plots.plot_run(history(scaled=False)).axes) == 4


def test_a_run_of_one_step_can_be_drawn(tmp_path):
    assert len(plots.save_plots(history(steps=1, skipped=()), tmp_path)) == 6


def test_a_run_in_which_every_step_was_skipped_can_be_drawn(tmp_path):
    assert len(plots.save_plots(history(steps=3, skipped=(1, 2, 3)), tmp_path)) == 6


def test_what_there_is_nothing_of_is_refused():
    with pytest.raises(ValueError, match="no loss scaling, so there is no loss scale to draw"):
        plots.plot_loss_scale(history(scaled=False))
    with pytest.raises(ValueError, match="the run has no steps"):
        plots.plot_loss(History())


def test_drawing_changes_nothing_for_the_program():
    code = (
        "import amp_runtime.plots, sys; assert 'matplotlib.pyplot' not in sys.modules; "
        "sys.modules['matplotlib.figure'] = None; del sys.modules['amp_runtime.plots']; import amp_runtime.plots"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "ImportError: plots need matplotlib: pip install 'verify-amp[plots]'" in done.stderr
