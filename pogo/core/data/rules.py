"""How recorded rows are taken where more than one reading is possible: actions, ends of episodes, their order."""

import logging
from dataclasses import dataclass, replace

import numpy as np

from pogo.core.data.preprocessing import Preprocessing, check_actions, look_scaled
from pogo.core.data.raw_rows import RawRows, as_true_ends
from pogo.core.data.views import View, check_time_order, infer_timeouts
from pogo.core.errors import BadInput

logger = logging.getLogger("pogo")


@dataclass(frozen=True)
class Rules:
    """How recorded rows are taken where more than one reading is possible."""

    of_d4rl: bool = False  # as D4RL takes its own files
    clip_actions: bool = False  # cut actions at the bounds instead of refusing them
    actions_scaled: bool = False  # actions are in units of the bounds already
    hold_constants: bool = True  # a column that is constant in the data is so for the policy, always


def with_actions(raw: RawRows, low: np.ndarray, high: np.ndarray, rules: Rules, source: str) -> RawRows:
    """The rows with their actions in the environment's units.

    Raises:
        BadInput: an action is outside the bounds, or, where actions are said to be scaled, outside [-1, 1].
    """
    arrays = {"actions": raw.actions} | ({} if raw.next_actions is None else {"next_actions": raw.next_actions})
    if rules.actions_scaled:
        for actions in arrays.values():
            check_actions(actions, -np.ones_like(low), np.ones_like(high), source)
        middle, half = (low + high) / 2, (high - low) / 2
        arrays = {key: (middle + half * actions).astype(np.float32) for key, actions in arrays.items()}
    elif rules.clip_actions:
        bounds = low.astype(np.float32), high.astype(np.float32)
        arrays = {key: np.clip(actions, *bounds) for key, actions in arrays.items()}
    for actions in arrays.values():
        check_actions(actions, low, high, source)
    if not rules.actions_scaled and look_scaled(raw.actions, low, high):
        logger.warning(
            "%s: its actions reach -1 or 1 and never go beyond, but their bounds are %s, %s: if they are stored in "
            "units of the bounds, say so by dataset.actions_scaled=true.",
            source, low.tolist(), high.tolist(),
        )  # fmt: skip
    return replace(raw, **arrays)


def with_ends(raw: RawRows, max_episode_steps: int | None, rules: Rules, source: str) -> RawRows:
    """The rows with every end of an episode marked, as a true one or as a time-out.

    Raises:
        BadInput: the rows mark no time-outs, and no time limit is known to infer them by.
    """
    if raw.timeouts is None:
        if max_episode_steps is None:
            raise BadInput(
                f"{source}: no timeouts array, so the episodes' time limit must be known: dataset.max_episode_steps."
            )
        # Of a row that is a true end too, what ended the episode is the environment.
        return as_true_ends(replace(raw, timeouts=infer_timeouts(raw.terminals, max_episode_steps)))
    both = int(np.count_nonzero(raw.terminals & raw.timeouts))
    if both and rules.of_d4rl:
        logger.warning(
            "%s: %d rows are marked as a true end and as a time-out; as D4RL reads them, they are dropped with the "
            "time-outs (dataset.view=full keeps them).",
            source, both,
        )  # fmt: skip
        return raw
    if both:
        logger.warning(
            "%s: %d rows are marked as a true end and as a time-out; they are taken for true ends.", source, both
        )
    return as_true_ends(raw)


def check_order(raw: RawRows, view: View, preprocessing: Preprocessing, rules: Rules, source: str) -> None:
    """Refuse rows out of the order of time where the view or the algorithm needs it; of D4RL's own files, warn.

    Raises:
        BadInput: the rows are in another order, and something takes the next row for what happened next.
    """
    if not rules.of_d4rl:
        check_time_order(raw, view, _needs_order(preprocessing, raw), source)
    elif broken := raw.broken_rows:  # read as published, whatever their rows say
        logger.warning(
            "%s: the next_observations of %d rows are not the observations of the rows after them, which D4RL's view "
            "takes for them.",
            source, broken,
        )  # fmt: skip


def _needs_order(preprocessing: Preprocessing, raw: RawRows) -> str | None:
    """What takes the next row for what happened next, besides a view, and what to do instead."""
    if preprocessing.next_actions and raw.next_actions is None:
        return "this algorithm learns from the action after each; save one environment's rows after another's"
    if preprocessing.reward_scaling == "return_range":
        return "rewards are scaled by the returns of trajectories; use algorithm.normalize_rewards=false"
    return None
