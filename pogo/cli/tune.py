"""pogo-tune: search for options by Optuna."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pogo.cli.common import CommandParser, run_command
from pogo.core.errors import EXIT_DONE, BadInput


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(_parser, _tune, arguments)


def _parser() -> CommandParser:
    parser = CommandParser(
        "pogo-tune",
        "STUDY.yaml [options] [launcher=NAME launcher.KEY=VALUE ...]",
        """\
Search for the options of pogo-train that score best, by Optuna: STUDY.yaml says which, and what is to be best. Trials
that lag behind are ended early. The same command goes on with what is not done.

  pogo-tune study.yaml
  pogo-tune study.yaml --workers 4
  pogo-tune study.yaml --workers 20 launcher=slurm launcher.partition=gpu launcher.gpus=1
  pogo-tune study.yaml --report --out report""",
        _EPILOG,
    )
    add = parser.add_argument
    add("study", type=Path, metavar="STUDY.yaml", help="what is searched over (docs/tuning.md says how it is written)")
    add("overrides", nargs="*", metavar="launcher=NAME", help="where the workers run, as pogo-train -m takes it")
    add("--workers", metavar="N", help="side by side, each at one trial at a time; 1 by default")
    add(
        "--report", action="store_true",
        help="how far the study is, its best options as a command, and how much each option matters; starts nothing",
    )  # fmt: skip
    add("--out", type=Path, metavar="FOLDER", help="with --report: figures of it, .png and .svg (needs pogo[plot])")
    add("--json", dest="as_json", action="store_true", help="with --report: as JSON")
    add("--worker", action="store_true", help=argparse.SUPPRESS)  # one of the processes that the command starts
    return parser


_EPILOG = """\
Exit codes: 0 all trials done; 1 some are left, or all have failed; 2 bad input; 130 and 143 stopped by a signal,
saved."""


@dataclass(frozen=True)
class _Given:
    """The options behind the study's file, taken apart."""

    launcher: list[str]
    threads: int | None  # of a worker, which whoever starts it says


def _tune(options: argparse.Namespace) -> int:
    from pogo.core.config.compose import compose_launcher  # late: --help answers without these
    from pogo.core.tuning.plan import check_plan, read_plan

    given = _checked(options)
    plan = read_plan(options.study)
    if options.report:
        return _report(options)
    if options.worker:
        from pogo.core.system.machine import available_cpus
        from pogo.core.tuning.worker import work

        return work(plan, given.threads or available_cpus())
    launcher = compose_launcher(given.launcher)
    check_plan(plan)
    from pogo.core.tuning.launch import tune

    return tune(plan, launcher, _workers(options.workers))


def _report(options: argparse.Namespace) -> int:
    from pogo.core.tuning.plan import read_plan
    from pogo.core.tuning.report import make_report, report_text

    report = make_report(read_plan(options.study))
    print(json.dumps(report.to_json(), indent=2, allow_nan=False) if options.as_json else report_text(report))
    if options.out is not None:
        from pogo.core.tuning.figures import draw_report

        for path in draw_report(report, options.out):
            print(f"{path} written.", file=sys.stderr)
    return EXIT_DONE


def _checked(options: argparse.Namespace) -> _Given:
    """Refuse what does not go together.

    Raises:
        BadInput: with the mend.
    """
    if not options.report and (options.as_json or options.out is not None):
        raise BadInput(f"{'--json' if options.as_json else '--out'} is of --report; add it.")
    if options.report and options.workers is not None:
        raise BadInput("--report starts no workers; drop --workers.")
    launcher: list[str] = []
    threads = None
    for text in options.overrides:
        key, _, value = text.partition("=")
        if key == "threads" and options.worker:
            threads = int(value)
        elif key == "launcher.jobs":
            raise BadInput(f"{text}: workers that run side by side are --workers N.")
        elif key == "launcher" or key.startswith("launcher."):
            launcher.append(text)
        else:
            raise BadInput(
                f"{text}: options of the runs stand in {options.study}; here go those of the launcher alone."
            )
    return _Given(launcher, threads)


def _workers(given: str | None) -> int:
    if given is None:
        return 1
    if not given.isdecimal() or int(given) < 1:
        raise BadInput(f"--workers {given}: use a whole number of at least 1.")
    return int(given)


if __name__ == "__main__":
    sys.exit(main())
