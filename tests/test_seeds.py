"""Many seeds in one program: each is as if it had been trained alone, and none is lost."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pogo.cli import report
from pogo.core.algorithms import ALGORITHMS
from pogo.core.config.compose import compose_config
from pogo.core.errors import BadInput, RunFailed
from pogo.core.files.checkpoint import CheckpointStore
from pogo.core.learner.metrics import check_seeds_finite
from pogo.core.learner.probe import make_probe
from pogo.core.registry import BACKENDS, SEED_GROUPS, load_backend
from pogo.core.runs.lock import RunLock
from pogo.core.runs.loop import TrainingLoop
from pogo.core.runs.plan import LARGEST_NUM_SEEDS, check_settings
from pogo.core.runs.seed_run import SeedRun
from pogo.core.sweeps.planning import plan_sweep
from tests.helpers.framework import Framework
from tests.helpers.learners import rows, transitions
from tests.helpers.problems import ACT, OBS, problem
from tests.helpers.runs import (
    Outcome,
    array_bytes,
    arrays,
    assert_same_run,
    fingerprint,
    lines,
    run_command,
    shared_folder,
    steps,
    summary,
    train,
)
from tests.helpers.runs import arguments as small_arguments
from tests.helpers.slow import quick
from tests.helpers.stopping import at_update, signalled

UPDATES, SEEDS = 40, (0, 1)
VARIANT = "algorithm.hidden_sizes=32_32,train.batch_size=32"  # what makes them small
INTERVALS = {"log__every": 7, "eval__every": 20, "checkpoint__every": 5, "eval__episodes": 1}


def arguments(root: Path, count: int = len(SEEDS), **changes: Any) -> list[str]:
    settings: dict[str, Any] = {"run__root": root, "train__num_seeds": count, "train__updates": UPDATES, **INTERVALS}
    return small_arguments(root, **{"backend": "jax", "run__dir": None, **settings, **changes})


def run_dir(root: Path, seed: int) -> Path:
    return root / "pendulum-medium-replay" / "iql_jax" / "w2_10_10" / VARIANT / f"seed_{seed}"


def log_of(root: Path, seed: int) -> str:
    return (run_dir(root, seed) / "run.log").read_text()


@pytest.fixture
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of an uninterrupted group."""
    pytest.importorskip("jax")
    with shared_folder(tmp_path_factory, "whole_group") as folder:
        root = folder / "runs"
        if not root.exists():
            train(*arguments(root)).assert_code(0)
        return root


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(whole, tmp_path / "runs")
    return tmp_path / "runs"


def close(ours: Any, theirs: Any, name: str) -> None:
    """Equal up to rounding, as one tensor: relative to its largest entry."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.dtype == theirs.dtype, name
    assert ours.shape == theirs.shape, name
    if ours.dtype.kind == "f":
        assert np.abs(ours - theirs).max() <= 1e-9 * max(np.abs(theirs).max(), 1e-12), name
    else:
        assert np.array_equal(ours, theirs), name


def assert_each_seed_is_as_if_alone(algorithm: str) -> None:
    framework = Framework("jax")
    data, spec, seeds = transitions(), problem(algorithm, "float64"), (3, 7)
    with framework.precision("float64"):
        group = framework.module("group").make_learner_group(spec, seeds, data, device="cpu")
        group.train(4)
        means = group.train(5, close_window=False)
        probe = make_probe(rows(data), ACT, 0)
        rng = np.random.default_rng(0)
        observations, noise = rng.standard_normal((6, OBS)), rng.standard_normal((6, ACT))
        assert group.updates == 9
        programs: dict = {}
        for member, seed, found in zip(group.learners, seeds, means, strict=True):
            alone = framework.module("learner").make_learner(spec, seed, data, device="cpu")
            alone._programs = programs  # compiled once
            alone.train(4)
            expected = alone.train(5, close_window=False)
            assert found.keys() == expected.keys()
            for name in expected:
                close(found[name], expected[name], name)
            snapshot, expected = member.snapshot(), alone.snapshot()
            assert snapshot.keys() == expected.keys()
            for name in expected:
                close(snapshot[name], expected[name], name)
            assert member.describe(probe) == pytest.approx(alone.describe(probe), rel=1e-9)
            for z in (None, noise):
                np.testing.assert_allclose(member.act(observations, 1, z), alone.act(observations, 1, z), rtol=1e-9)


@pytest.mark.parametrize("algorithm", quick(["iql", "td3_bc"], ["iql"]))
def test_each_seed_is_as_if_alone(algorithm: str) -> None:
    assert_each_seed_is_as_if_alone(algorithm)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name not in ("iql", "td3_bc")])
def test_each_seed_of_every_algorithm_is_as_if_alone(algorithm: str) -> None:
    assert_each_seed_is_as_if_alone(algorithm)


def count_conds(jaxpr: Any) -> int:
    """Branches that are taken or not; a branch on a batched condition runs both sides and is no `cond`."""
    from jax.extend.core import jaxprs_in_params

    inner = [sub for equation in jaxpr.eqns for sub in jaxprs_in_params(equation.params)]
    # A choice by platform is made when the program is lowered, and no branch of it.
    conds = (equation for equation in jaxpr.eqns if equation.primitive.name == "cond")
    return sum(not cond.params.get("branches_platforms") for cond in conds) + sum(map(count_conds, inner))


def test_updates_that_move_no_actor_do_not_pay_for_it() -> None:
    """`actors_due` is a branch of the group's program as of a single one, not a select."""
    framework = Framework("jax")
    import jax

    spec = problem("td3_bc", "float32")
    group = framework.module("group").make_learner_group(spec, (0, 1), transitions(), device="cpu")
    alone = framework.module("learner").make_learner(spec, 0, transitions(), device="cpu")
    state, _, keys = group._stack()
    expected = count_conds(jax.make_jaxpr(alone._update_once)(alone._state, alone._data, alone._key).jaxpr)
    found = count_conds(jax.make_jaxpr(group._update_seeds)(state, group._data, keys).jaxpr)
    assert found == expected > 0
    per_seed = state._replace(updates=jax.numpy.zeros(2, "int32"))
    as_select = jax.vmap(alone._update_once, in_axes=(0, None, 0))
    words = jax.vmap(jax.random.wrap_key_data)(keys)
    assert count_conds(jax.make_jaxpr(as_select)(per_seed, group._data, words).jaxpr) == 0  # what this would catch


def test_a_groups_programs_are_compiled_once() -> None:
    framework = Framework("jax")
    import jax

    spec = problem("iql", "float32")
    group = framework.module("group").make_learner_group(spec, (0, 1, 2), transitions(), device="cpu")
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(event) if event.endswith("backend_compile_duration") else None
    )

    def use() -> None:
        group.train(2)
        group.train(1, close_window=False)
        for member in group.learners:
            member.act(np.zeros((4, OBS), np.float32), 0)
            member.snapshot()
        group.train(1)

    announced: list[float] = []
    group.watch_compilation(lambda: announced.append(group.compile_seconds))
    use()
    assert group.compile_seconds > 0
    assert announced[0] == 0.0, "the program of all seeds is the first"
    assert len(announced) > 1, "and their own follow"
    compiled.clear()
    use()
    assert compiled == []


SHARDED = """
import sys
import jax, numpy as np
from pogo.jax_backend.group import make_learner_group
from tests.helpers.learners import rows, transitions
from tests.helpers.problems import problem

jax.config.update("jax_enable_x64", True)
spec = problem("td3_bc", "float64")

def snapshots(device, seeds, count):
    group = make_learner_group(spec, seeds, transitions(), device=device)
    assert len(group._devices) == count, group._devices
    group.train(2)
    middle = [learner.snapshot() for learner in group.learners]
    again = make_learner_group(spec, seeds, transitions(), device=device)
    for learner, arrays in zip(again.learners, middle):
        learner.restore(arrays)
    group.train(3), again.train(3)
    ends = [learner.snapshot() for learner in group.learners]
    for end, learner in zip(ends, again.learners):
        assert all(np.array_equal(end[name], value) for name, value in learner.snapshot().items())
    rows = np.ones((3, 5))
    return ends, [learner.act(rows, 2) for learner in group.learners]

def main():
    sharded, actions = snapshots("auto", (0, 1, 2, 3), 2)
    import pogo.jax_backend.group as module
    module._devices = lambda name, first, count: [first]
    whole, expected = snapshots("cpu", (0, 1, 2, 3), 1)
    for ours, theirs in zip(sharded, whole):
        for name in theirs:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-14, err_msg=name)
    np.testing.assert_allclose(actions, expected, rtol=1e-9)
    print("same numbers")
    return 0
"""


@pytest.mark.slow
def test_devices_share_the_seeds_out(tmp_path: Path) -> None:
    """Four seeds on two devices: the numbers of one device, and the same bits after a restore."""
    pytest.importorskip("jax")
    (tmp_path / "sharded.py").write_text(SHARDED)
    repository = Path(__file__).resolve().parents[1]
    outcome = run_command(
        module="sharded",
        PYTHONPATH=f"{tmp_path}:{repository}",
        XLA_FLAGS="--xla_force_host_platform_device_count=2",
    )
    outcome.assert_code(0)
    assert "same numbers" in outcome.output


def test_seeds_that_do_not_come_out_even_stay_on_one_device(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("jax")
    import jax

    module = load_backend("jax", "group")
    first = jax.devices()[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.jax, "devices", lambda _: [first, "another"])
        assert module._devices("auto", first, 4) == [first, "another"]
        assert module._devices("cpu:0", first, 4) == [first]
        caplog.set_level("INFO", "pogo")
        assert module._devices("auto", first, 3) == [first]
    assert "3 seeds cannot be shared out evenly over 2 devices" in caplog.text


def test_each_seeds_folder_is_as_of_a_run_alone(whole: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    train(*arguments(alone, seed=1, train__num_seeds=None)).assert_code(0)
    ours, theirs = run_dir(whole, 1), run_dir(alone, 1)
    is_stable = lambda path: not path.name.startswith("events.")  # noqa: E731
    names = lambda folder: {str(path.relative_to(folder)) for path in folder.rglob("*") if is_stable(path)}  # noqa: E731
    assert names(ours) == names(theirs)
    config, expected = (json.loads((folder / "config.json").read_bytes()) for folder in (ours, theirs))
    assert config["seed"] == 1
    assert config["train"]["num_seeds"] == 1
    assert config["sources"].pop("seed") == "train.num_seeds"
    del expected["sources"]["seed"]
    assert Path(config["run"].pop("dir")) == ours
    del expected["run"]["dir"], config["run"]["root"], expected["run"]["root"]
    assert config.pop("command") != expected.pop("command")
    assert config == expected
    assert summary(ours).keys() == summary(theirs).keys()
    assert summary(ours)["seed"] == 1
    for line, other in zip(lines(ours / "train.jsonl"), lines(theirs / "train.jsonl"), strict=True):
        assert line.keys() == other.keys()
    first, other = lines(ours / "train.jsonl")[0], lines(theirs / "train.jsonl")[0]
    assert first == pytest.approx(other, rel=1e-3)  # float32
    assert lines(ours / "train.jsonl")[0] != lines(run_dir(whole, 0) / "train.jsonl")[0]
    after, expected = arrays(ours), arrays(theirs)
    assert {name: (value.shape, value.dtype) for name, value in after.items()} == {
        name: (value.shape, value.dtype) for name, value in expected.items()
    }
    assert "seed_0" not in log_of(whole, 1)
    # And a run alone may be joined by others: the group goes on from there.
    train(*arguments(alone, seed=0, train__num_seeds=None)).assert_code(0)
    train(*arguments(alone, train__updates=50, algorithm__cosine_updates=UPDATES)).assert_code(0)
    assert [summary(run_dir(alone, seed))["updates"] for seed in SEEDS] == [50, 50]


def test_a_seed_of_a_group_goes_on_alone(copy: Path) -> None:
    longer = {"train__updates": 50, "algorithm__cosine_updates": UPDATES}
    train(*arguments(copy, seed=1, train__num_seeds=None, **longer)).assert_code(0)
    assert summary(run_dir(copy, 1))["updates"] == 50
    assert summary(run_dir(copy, 0))["updates"] == UPDATES


def test_a_group_is_reported_as_runs(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main([str(whole)]) == 0
    assert "iql" in capsys.readouterr().out


MOMENTS: dict[str, tuple[type, str, Callable[..., bool]]] = {
    "update": (TrainingLoop, "_advance", at_update(23)),
    "evaluation of the second seed": (SeedRun, "_act", lambda run, *_: run.seed == 1),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_saves_all_and_the_resume_gives_the_same_bits(whole: Path, tmp_path: Path, moment: str) -> None:
    owner, method, when = MOMENTS[moment]
    with signalled(owner, method, signal.SIGTERM, when):
        train(*arguments(tmp_path)).assert_code(143)
    assert steps(run_dir(tmp_path, 0)) == steps(run_dir(tmp_path, 1))
    assert "stopped by a signal" in log_of(tmp_path, 1)
    train(*arguments(tmp_path)).assert_code(0)
    for seed in SEEDS:
        assert_same_run(run_dir(tmp_path, seed), run_dir(whole, seed))
        assert summary(run_dir(tmp_path, seed))["actors"] == summary(run_dir(whole, seed))["actors"]


class Killed(BaseException):
    """A process that ends where nothing can catch it."""


def killed_at(root: Path, step: int, **changes: Any) -> None:
    """Train until the second seed is to save this step, the first one having saved it."""
    save = CheckpointStore.save

    def killed(self: CheckpointStore, saved: int, *rest: Any, **options: Any) -> Path:
        if saved == step and self.run_dir.name == "seed_1":
            raise Killed
        return save(self, saved, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckpointStore, "save", killed)
        with pytest.raises(Killed):
            train(*arguments(root, **changes))


@pytest.mark.parametrize("changes", [{}, {"checkpoint__keep": 1}], ids=["keep 3", "keep 1"])
def test_a_kill_between_two_saves_goes_back_to_what_all_have(
    whole: Path, tmp_path: Path, changes: dict, caplog: pytest.LogCaptureFixture
) -> None:
    killed_at(tmp_path, 25, **changes)
    assert [steps(run_dir(tmp_path, seed))[-1] for seed in SEEDS] == [25, 20]
    train(*arguments(tmp_path, **changes)).assert_code(0)
    assert "seed_0 goes back from update 25 to 20" in caplog.text
    for seed in SEEDS:
        assert_same_run(run_dir(tmp_path, seed), run_dir(whole, seed))


@pytest.mark.parametrize("is_made", [True, False], ids=["without a checkpoint", "without a folder"])
def test_a_kill_before_the_second_seeds_first_save_begins_again(
    whole: Path, tmp_path: Path, is_made: bool, caplog: pytest.LogCaptureFixture
) -> None:
    killed_at(tmp_path, 5)
    assert [steps(run_dir(tmp_path, seed)) for seed in SEEDS] == [[5], []]
    if not is_made:
        shutil.rmtree(run_dir(tmp_path, 1))
    killed_at(tmp_path, 5)  # and once more at the same place
    train(*arguments(tmp_path)).assert_code(0)
    assert "seed_0 begins again: a seed that is trained with it was killed before its first checkpoint" in caplog.text
    for seed in SEEDS:
        assert_same_run(run_dir(tmp_path, seed), run_dir(whole, seed))


def test_a_run_of_its_own_is_not_begun_again_for_another_seed(tmp_path: Path) -> None:
    """Also where its first checkpoint is all that it has."""
    pytest.importorskip("jax")
    alone = {"train__num_seeds": None, "train__updates": 4, "checkpoint__every": 0}
    train(*arguments(tmp_path, **alone)).assert_code(0)
    assert steps(run_dir(tmp_path, 0)) == [4]
    refused(tmp_path, "seed_0 hold a run, ", "seed_1 none", train__updates=4, checkpoint__every=0)


def test_a_damaged_checkpoint_takes_all_back(copy: Path, whole: Path) -> None:
    path = run_dir(copy, 1) / "checkpoints" / f"{UPDATES:09d}" / "arrays.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    train(*arguments(copy)).assert_code(0)
    for seed in SEEDS:
        assert_same_run(run_dir(copy, seed), run_dir(whole, seed))


def test_a_finished_group_is_left_alone(whole: Path) -> None:
    before = fingerprint(whole)
    train(*arguments(whole)).assert_code(0)
    train(*arguments(whole, train__num_seeds=None, seed=1)).assert_code(0)
    assert fingerprint(whole) == before


def refused(root: Path, *fragments: str, more: tuple[str, ...] = (), **changes: Any) -> Outcome:
    before = fingerprint(root) if root.exists() else None
    outcome = train(*arguments(root, **changes), *more)
    outcome.assert_code(2)
    assert outcome.output.count("\n") == 1, outcome.output
    for fragment in fragments:
        assert fragment in outcome.output
    assert (fingerprint(root) if root.exists() else None) == before
    return outcome


def test_folders_that_do_not_fit_together_are_refused(copy: Path) -> None:
    refused(copy, "seed_0, ", "seed_1 hold a run, ", "seed_2 none", "pogo-train -m seed=2 ", train__num_seeds=3)
    refused(copy, "resume=never", resume="never")
    refused(copy, "algorithm.beta: 3.0 -> 4.0", algorithm__beta=4, run__variant=f"'{VARIANT}'")
    for step in (30, 35):
        shutil.rmtree(run_dir(copy, 0) / "checkpoints" / f"{step:09d}")
    shutil.rmtree(run_dir(copy, 1) / "checkpoints" / f"{UPDATES:09d}")
    refused(copy, "no update in common", "seed_0 has 40; ", "seed_1 has 30, 35", "pogo-train -m seed=0,1 ")


def test_a_group_locks_every_folder(copy: Path) -> None:
    with RunLock(run_dir(copy, 1)) as lock:
        lock.acquire()
        refused(copy, "seed_1 is in use")


VALUES: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({"train__num_seeds": 0}, "train.num_seeds=0 is too small"),
    "too many": ({"train__num_seeds": 10**6}, f"use at most {LARGEST_NUM_SEEDS}"),
    "far too many": ({"train__num_seeds": 10**12}, "train.num_seeds=1000000000000 is too large"),
    "no more seeds": ({"seed": 2**63 - 1}, "end beyond 2^63 - 1"),
    "one folder": ({"run__dir": "somewhere"}, "run.dir is one folder, and each seed needs its own; use run.root."),
    "wandb": ({"logger__wandb": "true"}, "wandb logs one run per process"),
}


@pytest.mark.parametrize("case", VALUES)
def test_what_cannot_be_is_refused(tmp_path: Path, case: str) -> None:
    pytest.importorskip("jax")
    changes, message = VALUES[case]
    refused(tmp_path / "runs", message, **changes)


@pytest.mark.parametrize("backend", sorted(set(BACKENDS) - set(SEED_GROUPS)))
def test_a_backend_that_trains_one_seed_says_what_to_do(tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend)
    mend = "pogo-train -m 'seed=range(0,2)' --jobs N runs them side by side"
    refused(tmp_path / "runs", f"backend={backend} trains one seed per program; {mend}", backend=backend)


@pytest.mark.parametrize("backend", SEED_GROUPS)
def test_a_backend_with_groups_has_the_module(backend: str) -> None:
    pytest.importorskip(backend)
    assert callable(load_backend(backend, "group").make_learner_group)


def test_sweeps_see_the_folders_of_all_seeds() -> None:
    pytest.importorskip("jax")
    given = ["backend=jax", "train.num_seeds=4"]
    assert [path.name for cell in plan_sweep([*given, "seed=0,4"]) for path in cell.run_dirs] == [
        f"seed_{seed}" for seed in range(8)
    ]
    with pytest.raises(BadInput, match=r"'seed=0' and 'seed=3' would share .*seed_3"):
        plan_sweep([*given, "seed=0,3"])


def test_settings_of_a_group_name_a_folder_per_seed() -> None:
    pytest.importorskip("jax")
    settings = check_settings(compose_config(["backend=jax", "train.num_seeds=2", "seed=5"]))
    assert [path.name for path in settings.run_dirs.values()] == ["seed_5", "seed_6"]


def test_the_seed_of_a_metric_that_is_not_finite_is_named() -> None:
    check_seeds_finite({0: {"q": -1}, 1: {"q": -1}})
    with pytest.raises(RunFailed, match=r"seed 1, update 7: q, td_target; seed 2, update 9: q is not finite; "):
        check_seeds_finite({0: {"q": -1}, 1: {"q": 7, "td_target": 7, "v": 8}, 2: {"q": 9, "v": -1}})


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_group(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    changes: dict[str, Any] = {"algorithm__critic_learning_rate": 1e9, "eval__every": 0}
    outcome = train(*arguments(tmp_path, **changes))
    outcome.assert_code(1)
    for seed in SEEDS:
        (folder,) = tmp_path.rglob(f"seed_{seed}")
        log = (folder / "run.log").read_text()
        assert "seed 0, update" in log or "seed 1, update" in log
        assert "the last good checkpoint is kept" in log
        for step in steps(folder):
            assert f"update {step}:" not in log


@pytest.mark.slow
def test_a_group_is_the_same_on_two_devices(whole: Path, tmp_path: Path) -> None:
    """A run of two seeds on two devices, to its end, from the command line."""
    outcome = run_command(*arguments(tmp_path), XLA_FLAGS="--xla_force_host_platform_device_count=2")
    outcome.assert_code(0)
    for seed in SEEDS:
        first, other = (lines(run_dir(root, seed) / "train.jsonl")[0] for root in (tmp_path, whole))
        assert first == pytest.approx(other, rel=1e-3)
    assert array_bytes(run_dir(tmp_path, 0)) != array_bytes(run_dir(tmp_path, 1))
