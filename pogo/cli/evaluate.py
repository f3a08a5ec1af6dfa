"""pogo-eval: evaluate the actors of a run's checkpoint."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from pogo.cli.common import CommandParser, run_command

logger = logging.getLogger("pogo")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(_parser, _evaluate, arguments)


def _parser() -> CommandParser:
    parser = CommandParser(
        "pogo-eval",
        "RUN_DIR [options]",
        """\
Evaluate the actors of a run, from any checkpoint, on either backend.

  pogo-eval runs/pendulum-medium-replay/iql_torch/w2_10_10/seed_0
  pogo-eval RUN_DIR --checkpoint 10000 --actor 2 --backend jax --episodes 100 --json""",
        """\
Exit codes: 0 done, 1 failed while running (what other actors and modes gave is shown all the same), 2 bad input.""",
    )
    add = parser.add_argument
    add("run_dir", type=Path, metavar="RUN_DIR", help="a run's own folder, which holds checkpoints/")
    add("--checkpoint", type=int, metavar="STEP", help="a folder in checkpoints/; the newest good one by default")
    add("--actor", type=int, metavar="INDEX", help="only this actor")
    add("--backend", metavar="NAME", help="torch | jax; the one that wrote the run by default")
    add("--episodes", type=int, metavar="N", default=10, help="per actor and mode, 10 by default")
    add("--seed", type=int, metavar="N", help="of start states and action noise; the run's by default")
    add("--env", metavar="ID", help="another gymnasium environment of the same sizes")
    add("--device", metavar="NAME", default="auto", help="auto | cpu | cuda | cuda:<n>")
    add(
        "--processes", type=int, metavar="N",
        help="that hold the simulators; 0: this one; by the processors here by default",
    )  # fmt: skip
    add("--json", action="store_true", help="JSON instead of a table")
    return parser


def _evaluate(options: argparse.Namespace) -> int:
    from pogo.core.environments.checks import try_out  # late: --help answers without these
    from pogo.core.errors import EXIT_DONE, EXIT_FAILED, BadInput
    from pogo.core.files.documents import as_json, as_null
    from pogo.core.runs.console import RunConsole
    from pogo.core.runs.evaluation import failures
    from pogo.core.runs.stored_run import StoredRun

    run = StoredRun(options.run_dir, options.checkpoint, options.backend, options.device)
    if options.actor is not None and not 0 <= options.actor < len(run.spec.actors):
        raise BadInput(f"--actor {options.actor}: the run has actors 0 to {len(run.spec.actors) - 1}.")
    if options.episodes < 1:
        raise BadInput(f"--episodes {options.episodes}: use at least 1.")
    if options.seed is not None and options.seed < 0:
        raise BadInput(f"--seed {options.seed}: use a whole number of at least 0.")
    if options.processes is not None and options.processes < 0:
        raise BadInput(f"--processes {options.processes}: use a whole number of at least 0.")
    if options.env is not None:
        try_out(run.environment(options.env))
    rows = run.evaluate(options.episodes, options.seed, options.env, options.actor, options.processes)
    if options.json:
        document = {
            run.config.clock.unit: run.checkpoint.step,
            "backend": run.config.backend.name,
            "actors": [row.to_json() for row in rows],
        }
        print(json.dumps(as_json(document, "results", as_null), indent=2, allow_nan=False))
    else:
        console = RunConsole(run.checkpoint.step, stream=sys.stdout, progress=False)
        console.evaluation_table(run.config.clock.words(run.checkpoint.step), rows)
    for fault in failures(rows):
        logger.error("%s", fault.message)
    return EXIT_FAILED if failures(rows) else EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
