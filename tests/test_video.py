"""Videos of policies: files of gymnasium's recording, clips in the logs, and what is said where nothing can draw."""

import os
from pathlib import Path

import numpy as np
import pytest

import pogo
from pogo.cli.evaluate import main as evaluate
from pogo.cli.train import main as train
from pogo.core.environments import rendering
from pogo.core.files.event_file import EventFile
from pogo.core.runs import video

LENGTH = 12  # of an episode
SHORT = ["train.updates=3", "eval.episodes=2", f"dataset.max_episode_steps={LENGTH}", "chain.num_actors=2"]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pygame")
    pytest.importorskip("moviepy")
    folder = tmp_path_factory.mktemp("video") / "run"
    assert train(["algorithm=iql", "logger.video=true", *SHORT, f"run.dir={folder}"]) == 0
    return folder


def frames_of(path: Path) -> np.ndarray:
    import imageio.v3

    return imageio.v3.imread(path)


def test_every_mode_has_a_video_of_each_evaluated_episode(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--actor", "1", "--episodes", "2", "--video", str(tmp_path / "videos")]
    assert evaluate([str(run_dir), *options]) == 0
    said = capsys.readouterr().out
    modes = ("deterministic", "stochastic")
    names = [f"actor_1_{mode}-episode-{number}.mp4" for mode in modes for number in (0, 1)]
    assert sorted(path.name for path in (tmp_path / "videos").iterdir()) == sorted(names)
    (results,) = pogo.evaluate(run_dir, episodes=2, actor=1)
    assert results.stochastic is not None
    for episode, value in enumerate(results.stochastic.returns):
        assert f"actor_1_stochastic-episode-{episode}.mp4: return {value:.1f}, {LENGTH} steps" in said
    frames = frames_of(tmp_path / "videos" / names[0])
    assert len(frames) in (LENGTH, LENGTH + 1)
    assert frames.std() > 1  # something is drawn


def test_an_evaluation_leaves_a_clip_of_the_last_actor_in_the_log(run_dir: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    log = accumulator.EventAccumulator(str(run_dir), size_guidance={"images": 0})
    log.Reload()
    (clip,) = log.Images("eval/clip")
    assert (clip.step, clip.width, clip.height) == (3, video.CLIP_SIZE, video.CLIP_SIZE)
    assert clip.encoded_image_string.startswith(b"GIF89a")


def test_a_long_episodes_clip_has_few_frames_from_all_of_it() -> None:
    class Counter(video.gymnasium.Env):
        count = 0

        def step(self, action: object) -> tuple:
            self.count += 1
            return np.zeros(1), 0.0, False, False, {}

        def render(self) -> np.ndarray:
            return np.full((2, 2, 3), self.count)

    keeper = video._FrameKeeper(Counter())
    for _ in range(1000):
        keeper.step(np.zeros(1))
    shown = [int(frame[0, 0, 0]) for frame in keeper.kept]
    assert len(shown) <= video.CLIP_FRAMES
    assert (shown[0], shown[-1] > 980) == (1, True)
    assert len(set(np.diff(shown))) == 1


def test_a_machine_that_cannot_draw_says_so_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mujoco")
    monkeypatch.delenv(rendering.MUJOCO_GL, raising=False)
    monkeypatch.setattr(rendering, "working_renderer", lambda only: None)
    options = [
        "algorithm=sac",
        "env=Hopper-v5",
        "train.env_steps=100",
        "train.learning_starts=50",
        "logger.video=true",
        f"run.dir={tmp_path / 'run'}",
    ]
    assert train(options) == 2
    assert "MuJoCo cannot draw on this machine: neither EGL nor OSMesa works." in capsys.readouterr().err
    monkeypatch.setenv(rendering.MUJOCO_GL, "glfw")
    assert train(options) == 2
    assert "cannot draw by MUJOCO_GL=glfw" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_package_that_is_missing_is_named(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(video, "find_spec", lambda _: None)
    assert evaluate([str(run_dir), "--episodes", "1", "--video", str(tmp_path / "videos")]) == 2
    assert "a video needs moviepy, not installed here: pip install 'pogo[video]'." in capsys.readouterr().err


def test_a_renderer_that_crashes_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mujoco")
    works = f"import os; os._exit(os.environ['{rendering.MUJOCO_GL}'] != 'osmesa')"
    monkeypatch.setattr(rendering, "_TRIAL", works)
    rendering.working_renderer.cache_clear()
    try:
        assert rendering.working_renderer() == "osmesa"
        assert rendering.working_renderer("egl") is None
    finally:
        rendering.working_renderer.cache_clear()


@pytest.mark.slow
def test_hopper_is_recorded_without_a_screen(tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    if rendering.working_renderer(os.environ.get(rendering.MUJOCO_GL)) is None:
        pytest.skip("MuJoCo cannot draw here")
    options = ["train.env_steps=60", "train.learning_starts=50", "eval.episodes=0", "chain.num_actors=1"]
    assert train(["algorithm=sac", "env=Hopper-v5", *options, f"run.dir={tmp_path / 'run'}"]) == 0
    assert evaluate([str(tmp_path / "run"), "--episodes", "1", "--video", str(tmp_path / "videos")]) == 0
    frames = frames_of(tmp_path / "videos" / "actor_0_deterministic-episode-0.mp4")
    assert frames.shape[1:] == (video.FRAME_SIZE, video.FRAME_SIZE, 3)
    assert frames.std() > 1


def test_an_image_event_is_what_tensorboards_own_reader_reads(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = EventFile(tmp_path, purge_from=0)
    events.image(7, "a/tag", b"any bytes", (3, 400))
    events.close()
    log = accumulator.EventAccumulator(str(tmp_path), size_guidance={"images": 0})
    log.Reload()
    (image,) = log.Images("a/tag")
    assert (image.step, image.height, image.width, image.encoded_image_string) == (7, 3, 400, b"any bytes")
