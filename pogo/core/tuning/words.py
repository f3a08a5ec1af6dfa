"""What is said of trials, in a line."""

from collections import Counter
from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from pogo.core.tuning.store import FAILURE

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "open",
    TrialState.WAITING: "waiting",
}


def value_of(trial: FrozenTrial) -> float:
    """What a trial is worth that is complete; of a pruned one, what it was worth when it was ended."""
    if trial.state == TrialState.PRUNED:
        return trial.intermediate_values[max(trial.intermediate_values)]
    assert trial.value is not None
    return trial.value


def complete(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Those that have come to their end, the best first."""
    found = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    return sorted(found, key=lambda trial: -value_of(trial))


def trial_in_words(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> str:
    """How a trial has ended."""
    if trial.state == TrialState.FAIL:
        return f"trial {trial.number} failed: {trial.user_attrs.get(FAILURE, 'nobody has said why')}"
    if trial.state == TrialState.PRUNED:
        return f"trial {trial.number} pruned at {max(trial.intermediate_values)}: {value_of(trial):.1f}"
    best = complete(trials)[0]
    of_all = (
        "the best so far" if best.number == trial.number else f"the best: {value_of(best):.1f}, trial {best.number}"
    )
    return f"trial {trial.number} done: {value_of(trial):.1f}; {of_all}"


def counts_in_words(trials: Sequence[FrozenTrial]) -> str:
    """How many trials are how."""
    numbers = Counter(trial.state for trial in trials)
    counted = ", ".join(f"{numbers[state]} {word}" for state, word in STATES.items() if numbers[state])
    return f"{len(trials)} {'trial' if len(trials) == 1 else 'trials'}: {counted}" if trials else "no trial yet"
