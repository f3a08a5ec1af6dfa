"""What is said as a run ends: how each actor's return went, what the chain has gained, and what to do next."""

import logging
import shlex
from collections.abc import Mapping
from pathlib import Path

from pogo.core.files.logs import EVALUATION
from pogo.core.reports.documents import Unreadable
from pogo.core.reports.evaluations import read_curve
from pogo.core.runs.console import RunConsole
from pogo.core.runs.plan import Plan

logger = logging.getLogger("pogo")


def show_course(plan: Plan, console: RunConsole) -> None:
    """How each actor's deterministic return went, and what the chain has gained; nothing where none was evaluated."""
    try:
        evaluations = read_curve(plan.run_dir / EVALUATION, plan.config.clock, is_finished=False)
    except (Unreadable, OSError) as error:  # all is saved by now
        logger.warning("the course of the run is not shown: %s.", error)
        return
    by_actor: dict[int, list[float]] = {}
    for evaluation in evaluations:
        for (actor, _, mode), result in evaluation.results.items():
            if mode == "deterministic":
                by_actor.setdefault(actor, []).append(result.return_mean)
    if not by_actor:
        return
    if len(evaluations) > 1:
        unit = plan.config.clock.units.replace("_", " ")
        title = f"deterministic returns, {evaluations[0].count} to {evaluations[-1].count} {unit}:"
        console.curves(title, {f"actor {actor}": values for actor, values in sorted(by_actor.items())})
    console.message(_gain(plan, {actor: values[-1] for actor, values in by_actor.items()}))


def _gain(plan: Plan, returns: Mapping[int, float]) -> str:
    """How far the last actor is above the first, and the data's own policy."""
    last = max(returns)
    gains = [] if last == 0 or 0 not in returns else [f"{returns[last] - returns[0]:+.1f} to actor 0"]
    if (mean := plan.dataset.behaviour.return_mean) is not None:
        gains.append(f"{returns[last] - mean:+.1f} to the data")
    return f"actor {last}: {returns[last]:.1f}" + (f", {', '.join(gains)}" if gains else "")


def next_commands(plan: Plan) -> list[str]:
    """What to type after a run: its actors evaluated again, and it and its like in one table."""
    root = Path(plan.config.run.root).expanduser()
    folder = root if plan.run_dir.is_relative_to(root) else plan.run_dir
    commands = [f"pogo-report {shlex.quote(str(folder))}"]
    if plan.dataset.environment is not None:
        commands.insert(0, f"pogo-eval {shlex.quote(str(plan.run_dir))} --episodes 50")
    return commands
