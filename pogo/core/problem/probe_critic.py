"""The probe's critic (`probe.critic`): an estimate of actor 0's value that no actor is trained by.

Fitted Q evaluation (Le, Voloshin & Yue 2019, arXiv:1903.08738) of actor 0's deterministic actions, on batches of its
own: where a later actor climbs the algorithm's critic and not this one, it climbs an error.
"""

from dataclasses import dataclass

PROBE_CRITIC, TARGET_PROBE_CRITIC = "probe_critic", "target_probe_critic"
PROBE_PREFIX = "probe/"  # of its arrays in a batch: probe/observations
PROBE_ARRAYS = ("observations", "actions", "rewards", "next_observations", "terminals")
HIDDEN_SIZES = (256, 256)
LEARNING_RATE = 3e-4
TAU = 0.005


@dataclass(frozen=True)
class ProbeConfig:
    """The config section `probe`: what is trained beside a run to look at it."""

    critic: bool = False  # an independent critic of actor 0
