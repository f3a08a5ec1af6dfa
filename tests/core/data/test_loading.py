import hashlib
import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from omegaconf import OmegaConf

from pogo.core.data import download, environment, loading, scores
from pogo.core.data.config import BUNDLED, DatasetConfig, dataset_name
from pogo.core.data.dataset import Dataset, dataset_from_arrays
from pogo.core.data.loading import load_dataset
from pogo.core.data.preprocessing import Preprocessing
from pogo.core.environments import antmaze, d4rl_package
from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import BadInput

ROWS = 20
MakeFile = Callable[..., Path]


def make_arrays(observation_size: int = 3, action_size: int = 1, bound: float = 2.0) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    observations = rng.normal(size=(ROWS + 1, observation_size)).astype(np.float32)
    return {
        "observations": observations[:-1],
        "next_observations": observations[1:],
        "actions": rng.uniform(-bound, bound, (ROWS, action_size)).astype(np.float32),
        "rewards": rng.normal(size=ROWS).astype(np.float32),
        "terminals": np.arange(ROWS) == 4,
        "timeouts": np.isin(np.arange(ROWS), (9, 19)),
    }


@pytest.fixture
def make_file(tmp_path: Path) -> MakeFile:
    def make(name: str = "data.hdf5", metadata: dict | None = None, sizes: tuple = (), **replaced: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            for key, array in (make_arrays(*sizes) | replaced).items():
                if array is not None:
                    file[key] = array
            file.create_group("metadata").attrs.update(metadata or {})
        return path

    return make


def load(
    path: Path | None = None, env: str | None = None, preprocessing: Preprocessing | None = None, **options: Any
) -> Dataset:
    config = DatasetConfig(path=None if path is None else str(path), **options)
    return load_dataset(config, preprocessing or Preprocessing(), env)


def test_the_default_ships_with_the_package() -> None:
    dataset = load(name="pendulum-medium-replay", offline=True)
    assert dataset.name == "pendulum-medium-replay"
    assert (len(dataset.transitions), dataset.raw_rows) == (24_000 - 120, 24_000)
    assert (dataset.observation_size, dataset.action_size) == (3, 1)
    assert np.abs(dataset.transitions.actions).max() <= 1.0
    assert dataset.environment == EnvironmentSpec("Pendulum-v1", 3, 1, (-2.0,), (2.0,), 200)
    assert dataset.behaviour.episodes == 120
    assert dataset.behaviour.return_mean == pytest.approx(-802.49421679541, rel=1e-9)
    assert dataset.behaviour.return_std == pytest.approx(447.4159167967222, rel=1e-9)
    assert scores.normalized_score(-802.49421679541, dataset.reference_returns) == pytest.approx(40.7, abs=0.05)
    assert dataset.sha256 == BUNDLED["pendulum-medium-replay"][1]


def test_a_changed_default_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = loading._PACKAGE_DATA / "pendulum-medium-replay.hdf5"
    (tmp_path / shipped.name).write_bytes(shipped.read_bytes() + b"!")
    monkeypatch.setattr(loading, "_PACKAGE_DATA", tmp_path)
    with pytest.raises(BadInput, match=r"not the file that pogo ships \(SHA-256 [0-9a-f]{64}\); reinstall pogo"):
        load(name="pendulum-medium-replay")


def test_a_file_is_loaded_as_asked(make_file: MakeFile) -> None:
    path = make_file("walk.hdf5")
    arrays = make_arrays()
    kept = [row for row in range(ROWS) if row not in (9, 19)]
    dataset = load(path, "Pendulum-v1", Preprocessing(next_actions=True))
    np.testing.assert_array_equal(dataset.transitions.observations, arrays["observations"][kept])
    np.testing.assert_array_equal(
        dataset.transitions.next_observations, arrays["observations"][[row + 1 for row in kept]]
    )
    np.testing.assert_array_equal(dataset.transitions.actions, arrays["actions"][kept] / 2)
    assert dataset.name == "walk"
    assert dataset.origin == str(path)
    assert dataset.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert dataset.reference_returns is None
    assert dataset.normalized_score(1.0) is None
    full = load(path, "Pendulum-v1", view="full")
    np.testing.assert_array_equal(full.transitions.next_observations, arrays["next_observations"])
    assert dataset.behaviour == full.behaviour
    assert dataset.behaviour.episodes == 3


def test_metadata_gives_environment_bounds_and_scores(make_file: MakeFile) -> None:
    metadata = {
        "env_id": "Pendulum-v1",
        "action_low": [-2.0],
        "action_high": [2.0],
        "ref_min_score": -1000.0,
        "ref_max_score": -200.0,
    }
    dataset = load(make_file(metadata=metadata))
    assert dataset.environment is not None
    assert dataset.environment.env_id == "Pendulum-v1"
    assert dataset.reference_returns == (-1000.0, -200.0)
    assert dataset.normalized_score(-600.0) == 50.0
    alone = load(make_file(metadata=metadata), env="none", ref_min_score=0.0, ref_max_score=10.0)
    assert alone.environment is None
    assert alone.reference_returns == (0.0, 10.0)
    np.testing.assert_array_equal(alone.transitions.actions, dataset.transitions.actions)


def test_an_environment_is_needed_or_declined(make_file: MakeFile) -> None:
    path = make_file()
    with pytest.raises(
        BadInput, match=r"data.hdf5: names no environment to evaluate in; give one with env=ID, or .*no"
    ):
        load(path)
    with pytest.raises(BadInput, match=r"no action bounds; name the environment \(env=ID\)"):
        load(path, env="none")
    with pytest.raises(BadInput, match=r"env=Pendulum-v9 cannot be made"):
        load(path, env="Pendulum-v9")


def test_a_file_may_not_name_a_module_to_import(make_file: MakeFile) -> None:
    with pytest.raises(BadInput, match=r"names env_id='this:Env-v0', which would import a module; if you trust it"):
        load(make_file(metadata={"env_id": "this:Env-v0"}))


@pytest.mark.parametrize(
    ("sizes", "metadata", "message"),
    [
        ((17, 1), {}, "data.hdf5: observations have size 17, but env=Pendulum-v1 has 3"),
        ((3, 6), {}, "data.hdf5: actions have size 6, but env=Pendulum-v1 has 1"),
        ((3, 1, 5.0), {}, r"data.hdf5: actions\[\d+, 0\] = .* is outside the environment's bounds \[-2, 2\]"),
        ((), {"action_low": [-1.0], "action_high": [1.0]}, r"bounded by \[-1.0\], \[1.0\], but those of env=Pendulum"),
        ((), {"action_low": [2.0], "action_high": [-2.0]}, "are empty; low must be below high"),
        ((), {"action_low": [-2.0] * 3, "action_high": [2.0] * 3}, "do not fit actions of size 1"),
        ((), {"action_low": [-np.inf], "action_high": [2.0]}, "do not fit actions of size 1"),
        ((), {"ref_min_score": 5.0, "ref_max_score": 5.0}, "metadata: ref_min_score=5.0, ref_max_score=5.0 must be"),
    ],
)
def test_data_that_does_not_fit_the_environment_is_refused(
    make_file: MakeFile, sizes: tuple, metadata: dict, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        load(make_file(sizes=sizes, metadata=metadata), env="Pendulum-v1")


def test_actions_can_be_cut_at_the_bounds(make_file: MakeFile) -> None:
    actions = load(make_file(sizes=(3, 1, 5.0)), "Pendulum-v1", clip_actions=True).transitions.actions
    assert np.abs(actions).max() == 1.0


def test_time_outs_are_inferred_from_the_environments_limit(make_file: MakeFile) -> None:
    path = make_file(timeouts=None)
    assert len(load(path, "Pendulum-v1").transitions) == ROWS - 1  # 200 steps: no time-out among 20 rows
    limited = load(path, "Pendulum-v1", max_episode_steps=6)  # ends at 4 (true), 10, 16
    assert len(limited.transitions) == ROWS - 3
    assert limited.behaviour.episodes == 3
    bounds = {"action_low": [-2.0], "action_high": [2.0]}
    with pytest.raises(BadInput, match=r"no timeouts array, so .* time limit must be known: dataset.max_episode_steps"):
        load(make_file(timeouts=None, metadata=bounds), env="none")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"name": "hoper-medium-v2"},
            r"dataset=hoper-medium-v2 is unknown. Did you mean 'hopper-medium-v2'\? Known: ",
        ),
        ({"name": "custom"}, "dataset.name=custom needs a file: dataset.path=FILE.hdf5"),
        ({"name": "../../etc/passwd"}, "must be a plain name without path separators"),
        ({"name": ".."}, "must be a plain name without path separators"),
        ({"name": "a\\b"}, "must be a plain name without path separators"),
        ({"name": ""}, "must be a plain name without path separators"),
        ({"name": "a/b", "path": "x.hdf5"}, "must be a plain name without path separators"),
        ({"view": "fulll"}, r"dataset.view=fulll is unknown. Did you mean 'full'\? Known: d4rl, full"),
        ({"max_gib": 0.0}, "dataset.max_gib=0.0 must be above 0"),
        ({"max_episode_steps": 0}, "dataset.max_episode_steps=0 is out of range; use 1 to 999999999"),
        ({"sha256": "abc"}, "dataset.sha256=abc is not a SHA-256: 64 hexadecimal digits"),
        ({"mirrors": ["file:///etc"]}, "dataset.mirrors: 'file:///etc' is not an http or https address"),
        ({"ref_min_score": 1.0}, "dataset: ref_min_score=1.0, ref_max_score=None must be two finite numbers"),
        ({"path": "/no/such/file.hdf5"}, "/no/such/file.hdf5: no such file; check dataset.path"),
        ({"path": "/"}, r"/: cannot be read \(Is a directory\)|must be a plain name"),
    ],
)
def test_impossible_configs_are_refused(options: dict, message: str) -> None:
    options = {"name": "pendulum-medium-replay"} | options
    with pytest.raises(BadInput, match=message) as caught:
        load_dataset(DatasetConfig(**options), Preprocessing(), "Pendulum-v1")
    assert "\n" not in str(caught.value)


def test_names_of_runs() -> None:
    assert dataset_name(DatasetConfig(name="pendulum-medium-replay")) == "pendulum-medium-replay"
    assert dataset_name(DatasetConfig(name="pendulum-medium-replay", path="/a/walk.hdf5")) == "walk"
    assert dataset_name(DatasetConfig(path="walk.v1.hdf5")) == "walk.v1"
    assert dataset_name(DatasetConfig(name="mine", path="/a/walk.hdf5")) == "mine"
    assert dataset_name(DatasetConfig(name="hopper-medium-v2", path="/a/x.hdf5")) == "hopper-medium-v2"
    assert dataset_name(DatasetConfig(name="minari:D4RL/pen/human-v2")) == "D4RL-pen-human-v2"


def test_omegaconf_carries_the_config() -> None:
    config = OmegaConf.structured(DatasetConfig(name="x", mirrors=["http://a"]))
    assert OmegaConf.to_object(OmegaConf.create(OmegaConf.to_yaml(config))).keys() == {
        field.name for field in fields(DatasetConfig)
    }
    assert OmegaConf.to_object(config) == DatasetConfig(name="x", mirrors=["http://a"])


def test_a_pinned_digest_holds_for_any_file(make_file: MakeFile) -> None:
    path = make_file()
    assert load(path, "Pendulum-v1", sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(BadInput, match=r"SHA-256 is .*, but dataset.sha256=0+"):
        load(path, "Pendulum-v1", sha256="0" * 64)


@pytest.fixture
def no_d4rl_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(d4rl_package, "is_installed", lambda: False)


@pytest.mark.usefixtures("no_d4rl_package")
class TestD4rlNames:
    def test_a_cached_file_is_found_with_its_scores_and_robot(
        self, make_file: MakeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("mujoco")
        make_file("hopper_medium-v2.hdf5", sizes=(11, 3, 1.0))
        dataset = load(name="hopper-medium-v2", cache_dir=str(tmp_path), offline=True)
        assert dataset.environment is not None
        assert dataset.environment.env_id == "Hopper-v4"
        assert dataset.reference_returns == (-20.272305, 3234.3)
        assert dataset.normalized_score(3234.3) == 100.0
        assert dataset.name == "hopper-medium-v2"
        monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path))
        assert load(name="hopper-medium-v2", offline=True).sha256 == dataset.sha256
        elsewhere = make_file("mine.hdf5", sizes=(11, 3, 1.0))
        assert load(elsewhere, name="hopper-medium-v2").reference_returns == dataset.reference_returns

    def test_a_missing_file_offline_names_everything(self, tmp_path: Path) -> None:
        with pytest.raises(
            BadInput, match=r"hopper-medium-v2 is not at .*hopper_medium-v2.hdf5 and dataset.offline=tr"
        ):
            load(name="hopper-medium-v2", cache_dir=str(tmp_path), offline=True)

    def test_mirrors_come_before_the_host(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []

        def refuse(url: str, *_: object) -> None:
            asked.append(url)
            raise OSError("no network")

        monkeypatch.setattr(download, "_download", refuse)
        with pytest.raises(
            BadInput, match=r"could not be downloaded from http://a/gym_mujoco_v2.*no network.* or http:"
        ):
            load(name="hopper-medium-v2", cache_dir=str(tmp_path), mirrors=["http://a/"])
        assert asked == [
            "http://a/gym_mujoco_v2/hopper_medium-v2.hdf5",
            "http://rail.eecs.berkeley.edu/datasets/offline_rl/gym_mujoco_v2/hopper_medium-v2.hdf5",
        ]

    def test_what_only_d4rl_simulates_trains_without_evaluation(
        self, make_file: MakeFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        make_file("kitchen_microwave_kettle_light_slider-v0.hdf5", sizes=(60, 9, 1.0))
        with caplog.at_level(logging.WARNING):
            dataset = load(name="kitchen-partial-v0", cache_dir=str(tmp_path))
        assert dataset.environment is None
        assert dataset.reference_returns == (0.0, 4.0)
        said = "kitchen-partial-v0 is not evaluated: only the d4rl package has its environment"
        assert said in dataset.why_no_environment
        assert not caplog.records  # it is said once, where a run would evaluate

    @pytest.mark.parametrize("version", ["v0", "v2"])
    def test_an_antmaze_is_evaluated_by_gymnasium_robotics(
        self, version: str, make_file: MakeFile, caplog: pytest.LogCaptureFixture
    ) -> None:
        if not antmaze.is_installed():
            pytest.skip("gymnasium-robotics is not installed")
        path = make_file(sizes=(29, 8, 1.0))
        with caplog.at_level(logging.WARNING):
            dataset = load(path, name=f"antmaze-umaze-diverse-{version}")
        assert dataset.environment is not None
        assert (dataset.environment.package, dataset.environment.env_id) == (
            "gymnasium_robotics",
            "antmaze-umaze-diverse-v2",
        )
        assert dataset.normalized_score(0.25) == 25.0
        assert caplog.text == ""
        assert load(path, "antmaze-umaze-diverse-v2").environment == dataset.environment

    def test_an_antmaze_without_gymnasium_robotics_names_the_extra(
        self, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(antmaze, "is_installed", lambda: False)
        path = make_file(sizes=(29, 8, 1.0))
        with caplog.at_level(logging.WARNING):
            dataset = load(path, name="antmaze-umaze-v2")
        assert dataset.environment is None
        assert dataset.reference_returns == (0.0, 1.0)
        assert not caplog.records
        assert dataset.why_no_environment == (
            "dataset antmaze-umaze-v2 is not evaluated: its maze needs gymnasium-robotics, which is not installed "
            "(pip install 'pogo[antmaze]'); name another environment with env=ID."
        )

    def test_the_next_version_stands_in_with_one_warning(
        self, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        pytest.importorskip("mujoco")
        look = environment.environment_spec

        def without_v4(env_id: str, *args: object, **kwargs: object) -> EnvironmentSpec:
            if env_id.endswith("-v4"):
                raise BadInput(f"env={env_id} cannot be made: gone.")
            return look(env_id, *args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(environment, "environment_spec", without_v4)
        path = make_file(sizes=(11, 3, 1.0))
        with caplog.at_level(logging.WARNING):
            dataset = load(path, name="hopper-medium-v2")
        assert dataset.environment is not None
        assert dataset.environment.env_id == "Hopper-v5"
        assert [record.getMessage() for record in caplog.records] == [
            "dataset hopper-medium-v2 is evaluated in Hopper-v5 instead: env=Hopper-v4 cannot be made: gone."
        ]
        with pytest.raises(BadInput, match=r"dataset ant-medium-v2: env=Ant-v4 cannot be made: gone. Or .*env=none"):
            load(make_file(sizes=(111, 8, 1.0)), name="ant-medium-v2")


def test_d4rls_own_environment_comes_first(
    make_file: MakeFile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    own = EnvironmentSpec("pen-human-v1", 45, 24, (-1.0,) * 24, (1.0,) * 24, 100, package="d4rl")
    monkeypatch.setattr(d4rl_package, "is_installed", lambda: True)
    monkeypatch.setattr(d4rl_package, "d4rl_spec", lambda name: own)
    path = make_file(sizes=(45, 24, 1.0))
    assert load(path, name="pen-human-v1").environment is own

    def fail(name: str) -> None:
        raise BadInput("the d4rl package does not load here.")

    monkeypatch.setattr(d4rl_package, "d4rl_spec", fail)
    with caplog.at_level(logging.WARNING):
        dataset = load(path, name="pen-human-v1")
    assert dataset.environment is None
    assert "is not evaluated: the d4rl package does not load here." in dataset.why_no_environment
    assert not caplog.records


def test_an_antmaze_prefers_d4rls_own_environment(make_file: MakeFile, monkeypatch: pytest.MonkeyPatch) -> None:
    if not antmaze.is_installed():
        pytest.skip("gymnasium-robotics is not installed")
    own = EnvironmentSpec("antmaze-umaze-v2", 29, 8, (-1.0,) * 8, (1.0,) * 8, 700, package="d4rl")
    monkeypatch.setattr(d4rl_package, "is_installed", lambda: True)
    monkeypatch.setattr(d4rl_package, "d4rl_spec", lambda name: own)
    path = make_file(sizes=(29, 8, 1.0))
    assert load(path, name="antmaze-umaze-v2").environment is own

    def fail(name: str) -> None:
        raise BadInput("the d4rl package does not load here.")

    monkeypatch.setattr(d4rl_package, "d4rl_spec", fail)
    assert load(path, name="antmaze-umaze-v2").environment == replace(own, package="gymnasium_robotics")


def test_arrays_of_ones_own() -> None:
    arrays = make_arrays()
    before = {key: array.copy() for key, array in arrays.items()}
    options: dict[str, Any] = {
        "env": "Pendulum-v1",
        "preprocessing": Preprocessing(normalize_states=True),
        "name": "mine",
    }
    dataset = dataset_from_arrays(**arrays, **options, reference_returns=(0.0, 2.0))
    for key, array in arrays.items():
        np.testing.assert_array_equal(array, before[key])
    assert (dataset.name, len(dataset.transitions), dataset.reference_returns) == ("mine", ROWS - 2, (0.0, 2.0))
    assert dataset.sha256 == dataset_from_arrays(**arrays, **options).sha256
    changed = arrays | {"rewards": arrays["rewards"] + 1}
    assert dataset.sha256 != dataset_from_arrays(**changed, **options).sha256
    alone = dataset_from_arrays(**arrays, action_bounds=([-2.0], [2.0]), view="full")
    assert alone.environment is None
    np.testing.assert_array_equal(alone.transitions.actions, arrays["actions"] / 2)
    assert len(alone.transitions) == ROWS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": np.zeros(3)}, r"custom: rewards has shape \(3,\), but observations has 20 rows"),
        ({"rewards": np.array([None] * ROWS)}, "custom: rewards has type object, expected plain numbers"),
        ({"rewards": np.full(ROWS, np.nan)}, "custom: rewards holds nan at row 0"),
        ({"view": "all"}, "view=all is unknown. Known: d4rl, full"),
        ({"action_bounds": None}, "custom: no action bounds"),
        ({"timeouts": None}, "no timeouts array"),
        ({"reference_returns": (1.0, 0.0)}, "custom: ref_min_score=1.0, ref_max_score=0.0 must be two finite numbers"),
    ],
)
def test_arrays_are_checked_like_a_file(changes: dict, message: str) -> None:
    arguments: dict[str, Any] = {"action_bounds": ([-2.0], [2.0])} | make_arrays() | changes
    with pytest.raises(BadInput, match=message):
        dataset_from_arrays(**arguments)


def test_loading_needs_no_array_framework() -> None:
    script = (
        "import sys; from pogo.core.data.config import DatasetConfig; from pogo.core.data.loading import load_dataset;"
        "from pogo.core.data.preprocessing import Preprocessing; import pogo.core.runs.evaluation;"
        "load_dataset(DatasetConfig(name='pendulum-medium-replay'), Preprocessing());"
        "assert not {'torch', 'jax', 'minari', 'd4rl', 'gym'} & set(sys.modules)"
    )
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", script], check=True, cwd=root, timeout=120)
