"""What a run says of itself as it begins: what computes it, and on what data."""

from pathlib import Path

import pytest

from pogo.core.config.compose import compose_config
from pogo.core.runs.header import header
from pogo.core.runs.plan import make_plans

MACHINE = {"device": "cuda:1", "device_name": "NVIDIA H100"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["chain.num_actors=1", "eval.episodes=1"],
         ["iql on torch, cuda:1 (NVIDIA H100), 1 thread: 1 actor.",
          "pendulum-medium-replay, 24000 rows; evaluated in Pendulum-v1, 1 episode per actor and mode."]),
        (["eval.episodes=0"],
         ["iql on torch, cuda:1 (NVIDIA H100), 1 thread: 3 actors.",
          "pendulum-medium-replay, 24000 rows; no evaluation (eval.episodes=0)."]),
        (["env=none"],
         ["iql on torch, cuda:1 (NVIDIA H100), 1 thread: 3 actors.",
          "pendulum-medium-replay, 24000 rows; no environment to evaluate in."]),
        (["algorithm=sac", "env=Pendulum-v1", "train.env_steps=2000", "train.learning_starts=100"],
         ["sac on torch, cuda:1 (NVIDIA H100), 1 thread: 3 actors.",
          "its own data, from Pendulum-v1; evaluated in Pendulum-v1, 10 episodes per actor and mode."]),
    ],
    ids=["one of each", "no episodes", "no environment", "online"],
)  # fmt: skip
def test_the_header_says_what_computes_and_on_what(tmp_path: Path, options: list[str], expected: list[str]) -> None:
    pytest.importorskip("torch")
    (plan,) = make_plans(compose_config([f"run.dir={tmp_path}", "threads=1", *options]))
    assert header(plan, MACHINE) == expected
