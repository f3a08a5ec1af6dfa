"""What a run says of itself as it begins, in run.log and on the console."""

from collections.abc import Mapping

from pogo.core.runs.plan import Plan


def header(plan: Plan, machine: Mapping[str, str]) -> list[str]:
    """What all seeds of one command share: what computes, and on what data; a line each.

    Args:
        plan: any of theirs.
        machine: `Learner.machine`.
    """
    config, actors = plan.config, plan.config.actors
    where = f"{machine['device']} ({machine['device_name']})"
    return [
        f"{config.algorithm.name} on {config.backend.name}, {where}, {_many(config.threads, 'thread')}: "
        f"{_many(len(actors), 'actor')}.",
        f"{_data(plan)}; {_evaluation(plan)}.",
    ]


def _data(plan: Plan) -> str:
    environment = plan.dataset.environment
    if plan.config.is_online and environment is not None:
        return f"its own data, from {environment.env_id}"
    return f"{plan.dataset.name}, {_many(plan.dataset.raw_rows, 'row')}"


def _evaluation(plan: Plan) -> str:
    environment, episodes = plan.dataset.environment, plan.config.eval.episodes
    if environment is None:
        return "no environment to evaluate in"
    if episodes == 0:
        return "no evaluation (eval.episodes=0)"
    return f"evaluated in {environment.env_id}, {_many(episodes, 'episode')} per actor and mode"


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
