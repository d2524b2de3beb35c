"""`python -m amp_runtime.benchmark.trials`: measure how often a comparison errs here, or judge kept series again."""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

from amp_runtime.benchmark.trials.model import line_of, read
from amp_runtime.benchmark.trials.neighbours import neighbours
from amp_runtime.benchmark.trials.running import run_trials
from amp_runtime.benchmark.trials.table import table


def main() -> int:
    options = _options()
    if options.read:
        print(table(read(options.read)))
        return 0
    slowdowns = [0.0] * options.same + [options.slowdown] * options.slower
    random.Random(options.seed).shuffle(slowdowns)
    found = []
    with neighbours(options.neighbours), options.output.open("a", encoding="utf-8") as file:
        for trial in run_trials(slowdowns, options.budget, options.seed):
            found.append(trial)
            print(line_of(trial), file=file, flush=True)
            said = f"{len(found)}/{len(slowdowns)} {trial.slowdown:g} {trial.outcome} {trial.elapsed_s:.1f} s"
            print(said, file=sys.stderr, flush=True)
    print(table(found))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m amp_runtime.benchmark.trials", description=__doc__)
    parser.add_argument("--same", type=int, default=200, help="trials of identical programs")
    parser.add_argument("--slower", type=int, default=100, help="trials of a program that is truly slower")
    parser.add_argument("--slowdown", type=float, default=0.1, help="its share of more work")
    parser.add_argument("--budget", type=float, default=14.5, help="seconds of one trial, warm-up included")
    parser.add_argument("--neighbours", type=int, default=1, help="processes that keep the machine busy meanwhile")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("trials.jsonl"), help="file the raw series are added to")
    parser.add_argument("--read", type=Path, nargs="+", help="judge these series again, and run nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
