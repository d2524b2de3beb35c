"""Where the figures of a run go: one small interface, and W&B, TensorBoard, CSV, JSON Lines and the console behind it.

W&B and TensorBoard are imported only by their own modules, `trackers.wandb_run` and `trackers.tensorboard_events`.
"""

from amp_runtime.trackers.console import ConsoleTracker
from amp_runtime.trackers.contract import Tracker
from amp_runtime.trackers.csv_file import CsvTracker
from amp_runtime.trackers.jsonl_file import JsonlTracker
from amp_runtime.trackers.tracking import Tracking

__all__ = ["ConsoleTracker", "CsvTracker", "JsonlTracker", "Tracker", "Tracking"]
