"""What a run counts: its length, logs, evaluations and checkpoints go by it."""

from typing import NamedTuple


class Clock(NamedTuple):
    """A unit of progress, as the logs' keys and the settings name it."""

    unit: str
    units: str

    def words(self, count: int) -> str:
        """A point in the run, in a message."""
        return f"{self.unit.replace('_', ' ')} {count}"


UPDATES = Clock("update", "updates")  # of runs on a dataset
ENV_STEPS = Clock("env_step", "env_steps")  # of online runs
