"""Learners as plans ask for them."""

from collections.abc import Sequence

from pogo.core.learner.group import GroupOfOne, LearnerGroup
from pogo.core.learner.interface import Learner
from pogo.core.learner.replay_buffer import check_memory
from pogo.core.registry import load_backend
from pogo.core.runs.plan import Plan


def make_learner(plan: Plan) -> Learner:
    """The learner of a plan, on a fresh state, with the data that it trains on.

    Raises:
        BadInput: the backend or the device is not there, or the replay buffer would not fit in memory.
    """
    config, capacity = plan.config, None
    if config.is_online:
        capacity = config.train.buffer_size
        check_memory(capacity, plan.spec.observation_size, plan.spec.action_size)
    return load_backend(config.backend.name, "learner").make_learner(
        plan.spec,
        seed=config.seed,
        transitions=None if config.is_online else plan.dataset.transitions,
        device=config.device,
        compile=config.backend.compile,
        threads=config.threads,
        deterministic=config.deterministic,
        replay_capacity=capacity,
    )


def make_learner_group(plans: Sequence[Plan]) -> LearnerGroup:
    """Learners of plans that differ in their seeds only, on fresh states.

    Raises:
        BadInput: the backend or the device is not there, or the replay buffer would not fit in memory.
    """
    if len(plans) == 1:
        return GroupOfOne(make_learner(plans[0]))
    config = plans[0].config
    return load_backend(config.backend.name, "group").make_learner_group(
        plans[0].spec,
        seeds=[plan.config.seed for plan in plans],
        transitions=plans[0].dataset.transitions,
        device=config.device,
        compile=config.backend.compile,
        threads=config.threads,
        deterministic=config.deterministic,
    )
