"""The command line: options in, one call, an exit code out. Decides nothing itself."""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from verifier import __version__
from verifier.errors import ConfigError, ExitCode, MachineError, OutputError, UsageError, VerifierError
from verifier.options import CHECKED, PATH, accepting, common, keeping, sharing, watching
from verifier.streams import complain, say

_HELP = """The pre-merge gate for PyTorch mixed-precision (AMP) training code.

\b
verify T035 [T036 ...]   run every stage of these tasks and write their reports
verify --all             every task of the configuration
verify --changed-since REF   the tasks whose files changed; other files are only read
verify check PATH...     static stages on files or folders; needs no configuration
verify analyze PATH...   a report on each module: contracts, findings, robustness, cost, verdict
verify run SCRIPT [...]  any training script, unmodified, under the AMP sanitizer
verify fix PATH...|TASK  apply automatic fixes; --diff only shows them
verify merge REPORT...   join the reports of the shards of one run
verify calibrate         measure this machine, precision by precision

Tasks stand in pyproject.toml under [tool.verifier.tasks.NAME]. The exit code is the verdict:
0 PASS, 1 BLOCK, 2 wrong use or configuration, 3 the verifier itself failed, 130 interrupted.
"""


class _Group(click.Group):
    """A first word that is no command is a task."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        first = args[0] if args else "--help"
        if first not in (*self.commands, "--help", "-h", "--version"):
            args = ["task", *args]
        return super().parse_args(ctx, args or ["--help"])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:  # click would make exit code 1 of it, which is a verdict
            raise OutputError("standard output was closed before all of it was written") from error

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands, and the tasks of the project where its configuration can be read."""
        from verifier.listings import task_names  # noqa: PLC0415

        tasks = [CompletionItem(name) for name in task_names() if name.startswith(incomplete)]
        return [*tasks, *super().shell_complete(ctx, incomplete)]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, command in self.commands.items() if not command.hidden]


@click.group(cls=_Group, help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="verify")
def cli() -> None:
    """Entry of the group; `_Group` has decided which command it is."""


@cli.command("task", hidden=True, help="Run every stage of these tasks and write their reports.")
@click.argument("names", nargs=-1, metavar="TASK...")
@click.option("--all", "every", is_flag=True, help="Every task of the configuration.")
@click.option(
    "--changed-since", metavar="REF", help="The tasks whose files changed since REF; other files are only read."
)
@keeping
@common
@accepting
@sharing
@watching
def task_command(names: tuple[str, ...], every: bool, changed_since: str | None, watch: bool, **options: Any) -> None:
    if watch:
        from verifier.watch import watch_tasks, without_watch  # noqa: PLC0415

        watch_tasks(without_watch(sys.argv[1:]), options["stage"], names)
    if changed_since is not None:
        from verifier.changes.command import run_changed  # noqa: PLC0415
        from verifier.commands import Options  # noqa: PLC0415

        if names or every:
            raise UsageError("--changed-since finds the tasks itself; leave out --all and the names")
        sys.exit(run_changed(changed_since, Options(**options, command=_command_line())))
    from verifier.commands import Options  # noqa: PLC0415 - `--help` must not pay for it
    from verifier.task_command import run_tasks  # noqa: PLC0415

    sys.exit(run_tasks(names, every=every, options=Options(**options, command=_command_line())))


@cli.command("check", help="Static stages on files or folders. Needs no configuration, runs nothing.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=CHECKED)
@common
@accepting
@watching
def check_command(paths: tuple[Path, ...], watch: bool, **options: Any) -> None:
    if watch:
        from verifier.watch import watch_check, without_watch  # noqa: PLC0415

        watch_check(without_watch(sys.argv[1:]), paths)
    from verifier.commands import Options, run_check  # noqa: PLC0415

    sys.exit(run_check(paths, options=Options(**options, command=_command_line())))


@cli.command(
    "run",
    help="Run a training script, unmodified, under the AMP sanitizer. What follows SCRIPT is the script's own.",
    context_settings={"allow_interspersed_args": False},
)
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="End it cleanly after N training steps.")
@click.option("--emulate", type=click.Choice(["cuda"]), help="Emulate that device on the CPU.")
@click.option("-m", "--module", is_flag=True, help="SCRIPT is the name of a module, as with `python -m`.")
@common
@accepting
@click.argument("script", metavar="SCRIPT")
@click.argument("arguments", nargs=-1, metavar="[ARGS]...", type=click.UNPROCESSED)
def run_command(
    script: str, arguments: tuple[str, ...], steps: int | None, emulate: str | None, module: bool, **options: Any
) -> None:
    from verifier.commands import Options  # noqa: PLC0415
    from verifier.run_command import run_script  # noqa: PLC0415

    given = Options(**options, command=_command_line())
    sys.exit(run_script(script, arguments, steps=steps, emulate=emulate == "cuda", module=module, options=given))


@cli.command("fix", help="Apply automatic fixes to files, folders or the files of a task, and judge what remains.")
@click.argument("targets", nargs=-1, required=True, metavar="PATH...|TASK")
@click.option("--unsafe", is_flag=True, help="Apply those too that may change what the program does.")
@click.option("--diff", is_flag=True, help="Show what would be changed, and write nothing.")
@common
def fix_command(targets: tuple[str, ...], unsafe: bool, diff: bool, **options: Any) -> None:
    from verifier.commands import Options  # noqa: PLC0415
    from verifier.fix_command import run_fix  # noqa: PLC0415

    given = Options(**options, command=_command_line())
    sys.exit(run_fix(targets, unsafe=unsafe, diff=diff, options=given))


@cli.command("analyze", help="Report on modules and packages in eight sections each. Exit code 0: all are sound.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=CHECKED)
@click.option("--format", "formats", multiple=True, metavar="NAMES", help="md (the default), json.")
@click.option("--output", metavar="DIR", help="Folder for the documents; without it one is printed.")
@click.option("--config", "config_file", type=PATH, help="Configuration file; its folder is the root.")
@click.option("--python", "python", type=PATH, help="Interpreter of the analyzed project.")
@click.option("-q", "--quiet", is_flag=True, help="No summary.")
def analyze_command(paths: tuple[Path, ...], **options: Any) -> None:
    from verifier.analysis import AnalyzeOptions, run_analyze  # noqa: PLC0415

    sys.exit(run_analyze(paths, AnalyzeOptions(**options, command=_command_line())))


@cli.command("mutate", help="Put AMP hazards into a task, one at a time, and say what catches each.")
@click.argument("task", metavar="TASK")
@click.option("--static", is_flag=True, help="Only read the mutants; run nothing.")
@click.option("--everything", "every", is_flag=True, help="Run those mutants too that a rule has caught.")
@click.option("--operator", "operators", multiple=True, metavar="NAME", help="Only this operator (repeatable).")
@click.option("--fail-under", type=click.FloatRange(0, 100), metavar="PERCENT", help="Exit 1 if fewer are caught.")
@common
def mutate_command(task: str, **options: Any) -> None:
    from verifier.commands import Options  # noqa: PLC0415
    from verifier.mutation.command import Wanted, mutate  # noqa: PLC0415

    wanted = Wanted(**{name: options.pop(name) for name in ("static", "every", "operators", "fail_under")})
    sys.exit(mutate(task, wanted, Options(**options, command=_command_line())))


@cli.command("compare", help="What two reports of one task differ in. Exit code 1: something blocks that did not.")
@click.argument("old", metavar="OLD.json", type=PATH)
@click.argument("new", metavar="NEW.json", type=PATH)
@click.option("--format", "form", default="text", metavar="NAME", help="text (the default), md or json.")
def compare_command(old: Path, new: Path, form: str) -> None:
    from verifier.comparing.command import run_compare  # noqa: PLC0415

    sys.exit(run_compare(old, new, form))


@cli.command("check-report", help="Does a report still hold for its tree? Exit code 0: it does, and says PASS.")
@click.argument("report", metavar="FILE", type=PATH)
@click.option("--root", type=PATH, metavar="DIR", help="The tree; default: the project in which the report stands.")
def check_report_command(report: Path, root: Path | None) -> None:
    from verifier.saved.check_command import run_check_report  # noqa: PLC0415

    sys.exit(run_check_report(report, root))


@cli.command("merge", help="Join the reports of all shards of a run. Exit code: the verdict of the whole.")
@click.argument("reports", nargs=-1, required=True, metavar="REPORT|FOLDER...", type=PATH)
@click.option("--format", "formats", multiple=True, metavar="NAMES", help="Report formats, as for a run.")
@click.option("--output", metavar="DIR", help="Folder for the joined reports; - with one format prints the only one.")
@click.option("-q", "--quiet", is_flag=True, help="No summary.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
def merge_command(reports: tuple[Path, ...], **options: Any) -> None:
    from verifier.shards.command import MergeOptions, run_merge  # noqa: PLC0415

    sys.exit(run_merge(reports, MergeOptions(**options)))


@cli.command("calibrate", help="Measure this machine, precision by precision, and write its profile.")
@click.option("--preset", metavar="NAME", help="Whose theoretical peaks to take; without it the device is recognised.")
@click.option("--list-presets", is_flag=True, help="List the presets, those of this machine first.")
@click.option("--device", metavar="NAME", help="cpu, cuda or cuda:N; default: CUDA where it is there, else the CPU.")
@click.option("--quick", is_flag=True, help="Fewer sizes: about a minute.")
@click.option("--operations", multiple=True, metavar="NAMES", help="Only these (repeatable or comma list).")
@click.option("--compile", "compiled", is_flag=True, help="Fuse patterns by torch.compile too, which takes long.")
@click.option("--load", type=PATH, metavar="FILE", help="Show this profile in place of measuring.")
@click.option("--skip-platform-check", is_flag=True, help="Take a preset or profile of another machine, and warn.")
@click.option("--output", metavar="DIR", help="Folder for profile and report; - prints the one format.")
@click.option("--format", "formats", multiple=True, metavar="NAMES", help="table, json, md; default: all of them.")
@click.option("--config", "config_file", type=PATH, help="Configuration file; its folder is the root.")
@click.option("--python", "python", type=PATH, help="Interpreter whose PyTorch is measured.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no table.")
@click.option("--no-progress", is_flag=True, help="No progress on stderr.")
def calibrate_command(**options: Any) -> None:
    from verifier.calibration import CalibrateOptions, run_calibrate  # noqa: PLC0415

    sys.exit(run_calibrate(CalibrateOptions(**options)))


@cli.command("tasks", help="List the tasks of the configuration.")
@click.option("--config", "config_file", type=PATH, help="Configuration file.")
def tasks_command(config_file: Path | None) -> None:
    from verifier.listings import list_tasks  # noqa: PLC0415

    say(list_tasks(config_file))


@cli.command("stages", help="List the stages, their gates and where they come from.")
def stages_command() -> None:
    from verifier.listings import list_stages  # noqa: PLC0415

    say(list_stages())


@cli.command("rules", help="List every rule: code, severity, name, stage.")
@click.option("--format", "form", type=click.Choice(["text", "md", "json"]), default="text", show_default=True)
def rules_command(form: str) -> None:
    from verifier.plugins import load_plugins  # noqa: PLC0415
    from verifier.rule_texts import list_of_rules  # noqa: PLC0415

    say(list_of_rules(load_plugins(), form))


@cli.command("explain", help="Show one rule: what is wrong, why, what is right.")
@click.argument("rule", metavar="CODE|NAME")
def explain_command(rule: str) -> None:
    from verifier.plugins import load_plugins  # noqa: PLC0415
    from verifier.rule_texts import explain, find_rule  # noqa: PLC0415

    plugins = load_plugins()
    say(explain(plugins, find_rule(plugins, rule)))


@cli.command("init", help="Write a first configuration from what the repository contains.")
@click.option("--dry-run", is_flag=True, help="Print what would be written, and write nothing.")
def init_command(dry_run: bool) -> None:
    from verifier.listings import init  # noqa: PLC0415

    say(init(dry_run=dry_run))


@cli.command("schema", help="Print the JSON Schema of [tool.verifier] for editors, or the same as a page.")
@click.option("--format", "form", type=click.Choice(["json", "md"]), default="json", show_default=True)
def schema_command(form: str) -> None:
    from verifier.config_schema import as_page, as_text  # noqa: PLC0415

    say(as_text() if form == "json" else as_page().rstrip("\n"))


@cli.command("doctor", help="Say what this machine can and cannot verify, and why.")
@click.option("--config", "config_file", type=PATH, help="Configuration file.")
@click.option("--python", "python", type=PATH, help="Interpreter of the verified project.")
def doctor_command(config_file: Path | None, python: Path | None) -> None:
    from verifier.listings import doctor  # noqa: PLC0415

    text, code = doctor(config_file, python)
    say(text)
    sys.exit(code)


def _command_line() -> tuple[str, ...]:
    return ("verify", *sys.argv[1:])


def main() -> int:
    """Run the command line and return the exit code."""
    try:
        cli.main(prog_name="verify", standalone_mode=False)
    except ConfigError as error:
        for problem in error.problems:
            complain(f"verify: {problem}")
        return ExitCode.USAGE
    except VerifierError as error:
        complain(f"verify: {error}")
        return ExitCode.INTERNAL if isinstance(error, (MachineError, OutputError)) else ExitCode.USAGE
    except click.ClickException as error:
        complain(f"verify: {error.format_message()}")
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        complain("verify: interrupted")
        return ExitCode.INTERRUPTED
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else ExitCode.PASS
    except Exception:
        complain(traceback.format_exc().rstrip())
        complain("verify: the verifier itself failed; nothing is proven")
        return ExitCode.INTERNAL
    return ExitCode.PASS


def entry() -> NoReturn:
    """Console-script entry."""
    # One run, then the process ends: looking for garbage cycles among millions of syntax nodes costs a tenth of it, and
    # so does freeing them one by one at the end.
    gc.disable()
    if hasattr(signal, "SIGCHLD"):  # whoever started us may have it ignored, and then no child's exit code is seen
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _buffer_output()
    _leave(main())


def _buffer_output() -> None:
    """Undo PYTHONUNBUFFERED: unbuffered streams drop without a word what a full disk or a closed pipe leaves over."""
    stream = sys.stdout
    if isinstance(stream, io.TextIOWrapper) and isinstance(stream.buffer, io.RawIOBase):
        encoding, errors = stream.encoding, stream.errors
        buffer = io.BufferedWriter(stream.detach())
        sys.stdout = io.TextIOWrapper(buffer, encoding=encoding, errors=errors, line_buffering=True)


def _leave(code: int) -> NoReturn:
    """End the process at once: no thread or child of a run outlives it, and what was written is flushed here."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):  # nobody reads any more, or it was closed
            code = code or ExitCode.INTERNAL
    os._exit(code)
