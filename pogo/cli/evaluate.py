"""pogo-eval: evaluate the actors of a run's checkpoint, or of runs that go on."""

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
        "RUN_DIR [options] | --watch ROOT [options]",
        """\
Evaluate the actors of a run, from any checkpoint, on either backend; or every checkpoint of the runs below a folder, as
they are written, into the runs' own eval.jsonl.

  pogo-eval runs/pendulum-medium-replay/iql_torch/w2_10_10/seed_0
  pogo-eval RUN_DIR --checkpoint 10000 --actor 2 --backend jax --episodes 100 --json
  pogo-train device=cuda eval.every=0 & pogo-eval --watch runs""",
        """\
Exit codes: 0 done, 1 failed while running (what other actors and modes gave is shown all the same), 2 bad input,
130 or 143 stopped by a signal.""",
    )
    add = parser.add_argument
    add("run_dir", type=Path, nargs="?", metavar="RUN_DIR", help="a run's own folder, which holds checkpoints/")
    add("--checkpoint", type=int, metavar="STEP", help="a folder in checkpoints/; the newest good one by default")
    add("--actor", type=int, metavar="INDEX", help="only this actor")
    add("--backend", metavar="NAME", help="torch | jax; the one that wrote the run by default")
    add("--episodes", type=int, metavar="N", help="per actor and mode, 10 by default; with --watch as each run has it")
    add("--seed", type=int, metavar="N", help="of start states and action noise; the run's by default")
    add("--env", metavar="ID", help="another gymnasium environment of the same sizes")
    add("--device", metavar="NAME", help="auto | cpu | cuda | cuda:<n>; auto by default, cpu with --watch")
    add(
        "--processes", type=int, metavar="N",
        help="that hold the simulators; 0: this one; by the processors here by default",
    )  # fmt: skip
    add("--video", type=Path, metavar="DIR", help="record these episodes too: an .mp4 per actor, mode and episode")
    add("--json", action="store_true", help="JSON instead of a table")
    watch = parser.add_argument_group("runs that go on").add_argument
    watch(
        "--watch", type=Path, metavar="ROOT",
        help="evaluate every checkpoint of all runs below this folder that has no evaluation, until they have ended",
    )  # fmt: skip
    watch("--poll", type=float, metavar="SECONDS", help="between two looks for new checkpoints, 10 by default")
    watch("--once", action="store_true", help="evaluate what is there now, and end")
    return parser


def _evaluate(options: argparse.Namespace) -> int:
    from pogo.cli.watch import refuse, watch  # late: --help answers without these
    from pogo.core.errors import EXIT_DONE, EXIT_FAILED, BadInput
    from pogo.core.files.documents import as_json, as_null
    from pogo.core.runs.console import RunConsole
    from pogo.core.runs.evaluation import failures
    from pogo.core.runs.stored_run import StoredRun
    from pogo.core.runs.video import check_video

    if options.processes is not None and options.processes < 0:
        raise BadInput(f"--processes {options.processes}: use a whole number of at least 0.")
    if options.watch is not None:
        return watch(options)
    refuse(options)
    if options.run_dir is None:
        raise BadInput("give the folder of a run, or --watch ROOT; see pogo-eval --help.")
    episodes = 10 if options.episodes is None else options.episodes
    run = StoredRun(options.run_dir, options.checkpoint, options.backend, options.device or "auto")
    run.check_evaluation(episodes, options.seed, options.actor, options.env)
    if options.video is not None:
        check_video(run.environment(options.env))
    played = episodes, options.seed, options.env, options.actor
    rows = run.evaluate(*played, options.processes)
    if options.json:
        document = {
            run.config.clock.unit: run.checkpoint.step,
            "backend": run.config.backend.name,
            "actors": [row.to_json() for row in rows],
        }
        if options.video is not None:
            document["videos"] = [str(video.path) for video in run.record_videos(options.video, *played)]
        print(json.dumps(as_json(document, "results", as_null), indent=2, allow_nan=False))
    else:
        console = RunConsole(run.checkpoint.step, stream=sys.stdout, progress=False)
        console.evaluation_table(run.config.clock.words(run.checkpoint.step), rows)
        if options.video is not None:
            for video in run.record_videos(options.video, *played):
                print(f"{video.path}: return {video.episode_return:.1f}, {video.length} steps", flush=True)
    for fault in failures(rows):
        logger.error("%s", fault.message)
    return EXIT_FAILED if failures(rows) else EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
