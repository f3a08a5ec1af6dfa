import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pogo.core.environments.make import environment_spec
from pogo.core.environments.simulators import LocalSimulators, WorkerSimulators, default_processes, make_simulators
from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import RunFailed
from pogo.core.system.signals import STOP_SIGNALS

PENDULUM = environment_spec("Pendulum-v1")
REPOSITORY = Path(__file__).resolve().parents[3]
SEEDS = [7, 8, 9]
ALL = np.ones((2, 3), dtype=bool)
STILL = np.zeros((2, 3, 1), dtype=np.float32)


def pids(simulators: WorkerSimulators) -> list[int]:
    found = [worker.process.pid for worker in simulators._workers]
    return [pid for pid in found if pid is not None]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def ended(found: list[int], seconds: float = 20.0) -> bool:
    """Whether all of these processes end in time."""
    # A zombie has ended too.
    end = time.monotonic() + seconds
    while any(map(is_alive, found)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(is_alive, found))


@pytest.mark.parametrize(
    ("processors", "episodes", "expected"),
    [(1, 10, 0), (3, 10, 0), (4, 10, 2), (9, 10, 4), (16, 10, 8), (192, 100, 8), (192, 5, 5), (192, 1, 0)],
)
def test_about_half_of_the_processors_are_used(processors: int, episodes: int, expected: int) -> None:
    assert default_processes(processors, episodes) == expected


def test_workers_answer_as_simulators_here() -> None:
    """Also with fewer episodes than processes, and where only some of the simulators take a step."""
    here, there = make_simulators(PENDULUM, 2, 3, 0), make_simulators(PENDULUM, 2, 3, 8)
    assert isinstance(here, LocalSimulators)
    assert isinstance(there, WorkerSimulators)
    assert len(there._workers) == 3
    try:
        np.testing.assert_array_equal(here.reset(SEEDS)[0], there.reset(SEEDS)[0])
        live = np.array([[True, False, True], [False, False, True]])
        for mask in (ALL, live, live):
            *arrays, faults = here.step(STILL + 0.5, mask)
            *expected, faults_there = there.step(STILL + 0.5, mask)
            assert faults == faults_there == {}
            for ours, theirs in zip(arrays, expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)
                assert ours.dtype == theirs.dtype
        observations, rewards, *_ = there.step(STILL, live)
        assert not observations[~live].any()
        assert not rewards[~live].any()
        assert rewards[live].all()
        np.testing.assert_array_equal(here.reset(SEEDS[::-1])[0], there.reset(SEEDS[::-1])[0])
    finally:
        here.close()
        there.close()


def test_no_worker_is_left_after_closing() -> None:
    simulators = WorkerSimulators(PENDULUM, 2, 3, 2)
    found = pids(simulators)
    simulators.reset(SEEDS)
    assert len(found) == 2
    assert all(map(is_alive, found))
    simulators.close()
    assert not any(map(is_alive, found))
    simulators.close()
    simulators = WorkerSimulators(PENDULUM, 2, 3, 2)
    found = pids(simulators)
    del simulators  # at once, while they start
    gc.collect()
    assert not any(map(is_alive, found))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_dead_worker_is_named_and_replaced(number: signal.Signals) -> None:
    simulators = WorkerSimulators(PENDULUM, 2, 3, 2)
    try:
        start, _ = simulators.reset(SEEDS)
        first = pids(simulators)
        os.kill(first[1], number)
        assert ended(first[1:])
        with pytest.raises(RunFailed, match=rf"a process of simulators died \(exit code -{number.value}\)"):
            simulators.step(STILL, ALL)
        assert not any(map(is_alive, first))
        np.testing.assert_array_equal(simulators.reset(SEEDS)[0], start)
        assert not set(first) & set(pids(simulators))
    finally:
        simulators.close()


FAILING = """
import gymnasium
from gymnasium.envs.classic_control.pendulum import PendulumEnv

class Failing(PendulumEnv):
    def step(self, action):
        if action[0] == 1:
            raise EOFError("the simulator broke")
        return super().step(action)

class Unmade(PendulumEnv):
    def __init__(self):
        raise OSError("no such robot")

gymnasium.register("PogoFailing-v0", entry_point=Failing, max_episode_steps=200)
gymnasium.register("PogoUnmade-v0", entry_point=Unmade, max_episode_steps=200)
"""


@pytest.mark.parametrize("processes", [0, 2])
def test_a_fault_costs_its_own_episode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    """Its simulator is made anew, no worker ends, and the others step on as if nothing had been."""
    (tmp_path / "failing_in_worker.py").write_text(FAILING)
    monkeypatch.syspath_prepend(tmp_path)
    spec = EnvironmentSpec("failing_in_worker:PogoFailing-v0", 3, 1, (-2.0,), (2.0,), 200)
    simulators = make_simulators(spec, 2, 3, processes)
    healthy = make_simulators(PENDULUM, 2, 3, 0)
    try:
        start, _ = simulators.reset(SEEDS)
        healthy.reset(SEEDS)
        breaking = STILL.copy()
        breaking[1, 2] = 1
        observations, rewards, ended, faults = simulators.step(breaking, ALL)
        expected, expected_rewards, *_ = healthy.step(STILL, ALL)
        assert list(faults) == [(1, 2)]
        assert faults[1, 2].message == "failed: EOFError: the simulator broke"
        assert 'raise EOFError("the simulator broke")' in faults[1, 2].trace
        others = ALL & (np.arange(6).reshape(2, 3) != 5)
        np.testing.assert_array_equal(ended, ~others)
        np.testing.assert_array_equal(observations[others], expected[others])
        np.testing.assert_array_equal(rewards[others], expected_rewards[others])
        workers = pids(simulators) if isinstance(simulators, WorkerSimulators) else []
        again, faults = simulators.reset(SEEDS)
        np.testing.assert_array_equal(again, start)
        assert faults == {}
        assert workers == (pids(simulators) if isinstance(simulators, WorkerSimulators) else [])
    finally:
        simulators.close()
        healthy.close()


def test_a_worker_that_cannot_make_its_simulators_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing_in_worker.py").write_text(FAILING)
    monkeypatch.syspath_prepend(tmp_path)
    simulators = WorkerSimulators(
        EnvironmentSpec("failing_in_worker:PogoUnmade-v0", 3, 1, (-2.0,), (2.0,), 200), 2, 3, 2
    )
    for _ in range(2):
        with pytest.raises(RunFailed, match=r"BadInput: .* OSError: no such robot") as caught:
            simulators.reset(SEEDS)
        assert 'raise OSError("no such robot")' in str(caught.value.__cause__)


def test_workers_leave_signals_to_the_main_process() -> None:
    """From their first moment on."""
    simulators = WorkerSimulators(PENDULUM, 2, 3, 2)
    try:
        for moment in ("starting", "stepping"):
            for pid in pids(simulators):
                for number in STOP_SIGNALS:
                    os.kill(pid, number)
            if moment == "starting":
                simulators.reset(SEEDS)
        simulators.step(STILL, ALL)
    finally:
        simulators.close()
    assert not set(STOP_SIGNALS) & signal.pthread_sigmask(signal.SIG_BLOCK, [])


MAIN = """
import sys, time
from pogo.core.environments.make import environment_spec
from pogo.core.environments.simulators import WorkerSimulators

if __name__ == "__main__":
    simulators = WorkerSimulators(environment_spec("Pendulum-v1"), 2, 3, 2)
    simulators.reset([1, 2, 3])
    print(*(worker.process.pid for worker in simulators._workers), flush=True)
    if sys.argv[1] == "wait":
        time.sleep(1000)
    if sys.argv[1] == "fail":
        raise ValueError("unclosed")
"""


@pytest.mark.parametrize("how", ["wait", "return", "fail"])
def test_workers_end_with_their_main_process(tmp_path: Path, how: str) -> None:
    """Whether it is killed, ends or fails, without closing them."""
    (tmp_path / "main.py").write_text(MAIN)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "main.py"), how],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    found = [int(pid) for pid in process.stdout.readline().split()]
    assert len(found) == 2
    if how == "wait":
        assert all(map(is_alive, found))
        process.kill()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == {"wait": -9, "return": 0, "fail": 1}[how]
    assert ended(found)
    assert "simulators.py" not in errors  # no worker complains
