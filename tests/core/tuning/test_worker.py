"""Workers: what they do with trials that end well, lag behind, fail, are interrupted, or whose worker is killed."""

import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from pogo.core.config.launcher import LocalLauncher
from pogo.core.errors import RunFailed
from pogo.core.tuning.plan import StudyPlan
from tests.core.tuning.conftest import Studies
from tests.helpers.runs import finish, start, stop, wait_for
from tests.helpers.stand_in import EVALUATIONS, STARTS, score

pytest.importorskip("optuna")

from pogo.core.sweeps.runner import Share
from pogo.core.tuning import worker
from pogo.core.tuning.launch import tune
from pogo.core.tuning.store import Store

STAND_IN, WORKER = "tests.helpers.stand_in", "tests.helpers.stand_in_worker"


def states(plan: StudyPlan) -> Counter[str]:
    return Counter(trial.state.name for trial in Store(plan).trials())


def starts(plan: StudyPlan, number: int) -> list[int]:
    """How often the run of each seed was started."""
    return [len((plan.run_folder(number, seed) / STARTS).read_text().splitlines()) for seed in plan.seeds]


def evaluations(plan: StudyPlan, number: int, seed: int) -> int:
    log = plan.run_folder(number, seed) / "eval.jsonl"
    return len(log.read_text().splitlines()) if log.exists() else 0


def begin_worker(plan: StudyPlan) -> subprocess.Popen:
    return start(str(plan.file), module=WORKER, cwd=plan.file.parent)


def test_a_trial_is_worth_the_mean_over_its_seeds(studies: Studies) -> None:
    plan = studies.make(("trials: 6", "trials: 2"))
    assert worker.work(plan, 1, STAND_IN) == 0
    for trial in Store(plan).trials():
        best = score(trial.params["algorithm.beta"])
        assert trial.value == pytest.approx(best + 0.5)
        assert trial.user_attrs["by_seed"] == pytest.approx({"0": best, "1": best + 1})
        assert list(trial.intermediate_values) == [100 * number for number in range(1, EVALUATIONS + 1)]
        assert trial.intermediate_values[500] == pytest.approx(best / 2 + 0.5)
    assert starts(plan, 0) == starts(plan, 1) == [1, 1]


def test_two_workers_make_one_study(studies: Studies) -> None:
    plan = studies.make()
    assert tune(plan, LocalLauncher(), workers=2, module=WORKER) == 0
    assert states(plan) == {"COMPLETE": 6}
    assert [starts(plan, number) for number in range(6)] == [[1, 1]] * 6
    assert sorted(path.name for path in (plan.folder / "workers").iterdir()) == ["0", "1"]
    assert len({trial.params["algorithm.beta"] for trial in Store(plan).trials()}) == 6
    # The same command finds it done, and goes on once more is asked for.
    assert tune(plan, LocalLauncher(), workers=2, module=WORKER) == 0
    assert states(plan) == {"COMPLETE": 6}
    assert tune(studies.make(("trials: 6", "trials: 7")), LocalLauncher(), workers=2, module=WORKER) == 0
    assert states(plan) == {"COMPLETE": 7}


def test_a_killed_workers_trial_is_gone_on_with(studies: Studies) -> None:
    plan = studies.make(("trials: 6", "trials: 2"))
    studies.take_their_time(0.1)
    process = begin_worker(plan)
    wait_for(lambda: all(evaluations(plan, 0, seed) >= 2 for seed in plan.seeds), process)
    process.kill()
    assert finish(process).code == -signal.SIGKILL
    assert states(plan) == {"RUNNING": 1}
    options = Store(plan).trials()[0].params
    studies.take_their_time(0.0)
    assert finish(begin_worker(plan)).code == 0
    assert states(plan) == {"COMPLETE": 2}
    assert Store(plan).trials()[0].params == options
    assert starts(plan, 0) == [2, 2]
    assert [evaluations(plan, 0, seed) for seed in plan.seeds] == [EVALUATIONS] * 2, "not from the beginning"


def test_an_interrupted_trial_goes_on_where_it_was(studies: Studies) -> None:
    plan = studies.make(("trials: 6", "trials: 1"))
    studies.take_their_time(0.1)
    process = begin_worker(plan)
    wait_for(lambda: all(evaluations(plan, 0, seed) >= 2 for seed in plan.seeds), process)
    stop(process, signal.SIGTERM).assert_code(143)
    done = [evaluations(plan, 0, seed) for seed in plan.seeds]
    assert max(done) < EVALUATIONS
    assert states(plan) == {"RUNNING": 1}
    assert not list(plan.trial_folder(0).glob("**/lease.*.json")), "everything is let go of"
    studies.take_their_time(0.0)
    assert worker.work(plan, 1, STAND_IN) == 0
    assert states(plan) == {"COMPLETE": 1}
    assert starts(plan, 0) == [2, 2]
    assert [evaluations(plan, 0, seed) for seed in plan.seeds] == [EVALUATIONS] * 2


def test_a_signal_to_the_command_reaches_workers_and_runs(studies: Studies, tmp_path: Path) -> None:
    plan = studies.make()
    studies.take_their_time(0.5)
    process = start(str(plan.file), module="tests.helpers.stand_in_tune", cwd=tmp_path)
    wait_for(lambda: all(evaluations(plan, number, 0) >= 1 for number in (0, 1)), process)
    stop(process, signal.SIGTERM).assert_code(143)
    assert states(plan) == {"RUNNING": 2}
    assert not list(plan.folder.glob("**/lease.*.json"))
    for path in plan.folder.glob(f"trials/*/*/{STARTS}"):
        assert not any(Path(f"/proc/{pid}").exists() for pid in path.read_text().split())


def test_a_trial_that_lags_behind_is_ended_and_can_go_on(studies: Studies) -> None:
    plan = studies.make(("pruner: none", "pruner: {name: median, startup: 1, warmup: 200}"), ("trials: 6", "trials: 2"))
    store = Store(plan)
    good = store.study.ask()
    good.suggest_float("algorithm.beta", 0.1, 80, log=True)
    for number in range(1, EVALUATIONS + 1):
        good.report(1000.0, 100 * number)
    store.study.tell(good, 1000.0)
    studies.take_their_time(0.4)
    assert worker.work(plan, 1, STAND_IN) == 0
    assert states(plan) == {"COMPLETE": 1, "PRUNED": 1}
    trial = store.trials()[1]
    assert 200 <= max(trial.intermediate_values) < 1000
    for seed in plan.seeds:
        folder = plan.run_folder(1, seed)
        assert 0 < evaluations(plan, 1, seed) < EVALUATIONS
        assert not (folder / "summary.json").exists()
        assert '"code": 143' in (folder / "attempts.jsonl").read_text()
    # The run by itself goes on where it was ended.
    studies.take_their_time(0.0)
    given = (f"algorithm.beta={trial.params['algorithm.beta']}", "seed=0", f"run.dir={plan.run_folder(1, 0)}")
    finish(start(*given, module=STAND_IN)).assert_code(0)
    assert evaluations(plan, 1, 0) == EVALUATIONS


def test_a_failed_run_fails_its_trial_and_no_other(studies: Studies) -> None:
    some_fail = "{choice: [3, 95]}"
    plan = studies.make(("{float: [0.1, 80], log: true}", some_fail), ("pruner", "sampler: random\npruner"))
    assert worker.work(plan, 1, STAND_IN) == 0
    found = states(plan)
    assert set(found) == {"COMPLETE", "FAIL"}
    assert found.total() == 6
    failed = [trial for trial in Store(plan).trials() if trial.state.name == "FAIL"]
    assert {trial.user_attrs["failed"] for trial in failed} <= {
        f"seed={seed}: stand_in: it diverged." for seed in (0, 1)
    }


def test_a_study_in_which_everything_fails_is_given_up(studies: Studies) -> None:
    plan = studies.make(("[0.1, 80]", "[100, 200]"))
    with pytest.raises(
        RunFailed, match=r"all 3 trials have failed; mend it, .* The last: seed=.: stand_in: it diverged"
    ):
        worker.work(plan, 1, STAND_IN)
    assert states(plan) == {"FAIL": 3}


def test_runs_of_a_trial_share_what_their_worker_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert worker._places(8, 3) == [Share(2)] * 3
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    monkeypatch.setenv("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.45")
    assert worker._places(2, 3) == [Share(1, "5", 3)] * 3
    assert os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.150"
