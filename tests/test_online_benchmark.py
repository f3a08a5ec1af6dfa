"""The benchmark beside stable-baselines3: what it gives pogo-train is accepted, and means what SB3's arguments do."""

import pytest

from benchmarks import online
from pogo.core.config.compose import compose_config
from pogo.core.config.resolution import resolve

SETTINGS = online.Settings("Pendulum-v1", 2500, 600, 1000, eval_episodes=5, seed=3, threads=1)


@pytest.mark.parametrize("num_actors", [1, 3])
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_pogo_has_sb3s_settings(backend: str, num_actors: int, tmp_path) -> None:
    if backend == "torch":
        pytest.importorskip("torch")
    else:
        pytest.importorskip("jax")
    resolved = resolve(
        compose_config(online.pogo_arguments(SETTINGS, backend, num_actors, str(tmp_path / "run")))
    ).to_json()
    train, algorithm = resolved["train"], resolved["algorithm"]
    assert train["updates"] == SETTINGS.env_steps - SETTINGS.learning_starts
    assert train["random_steps"] == SETTINGS.learning_starts
    assert (algorithm["num_critics"], algorithm["target_backup"], algorithm["temperature"]) == (2, "min", "auto")
    assert algorithm["target_entropy"] is None  # minus the action size: SB3's `auto`
    assert resolved["eval"]["every"] == resolved["log"]["every"] == 1000


def test_windows_without_an_update_for_every_step_are_left_out() -> None:
    assert SETTINGS.boundaries == [1000, 2000, 2500]
    assert SETTINGS.learning_windows == [2000, 2500]


def test_a_run_that_is_never_learning_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        online.parse(
            ["--env", "Pendulum-v1", "--env-steps", "1000", "--learning-starts", "500", "--eval-every", "1000"]
        )
    assert stop.value.code == 2
    assert "no window of --eval-every=1000" in capsys.readouterr().err


def test_a_missing_sb3_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(online.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        online.parse([])
    assert "pip install 'pogo[benchmark]'" in capsys.readouterr().err
