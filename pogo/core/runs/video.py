"""Videos of policies, by gymnasium's own recording."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium.wrappers import RecordVideo

from pogo.core.data.preprocessing import Normalisation
from pogo.core.environments.rendering import drawing_environment
from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import BadInput, RunFailed
from pogo.core.learner.interface import Pair
from pogo.core.problem.streams import generator, stream
from pogo.core.runs.evaluation import Act

FRAME_SIZE = 320  # of simulators that can choose: an episode's frames are held until its end
CLIP_FRAMES, CLIP_SIZE = 100, 160  # of a clip in a log, at most


@dataclass(frozen=True)
class Recording:
    """A video of one episode."""

    pair: Pair
    episode: int
    path: Path
    episode_return: float  # undiscounted
    length: int


def check_video(spec: EnvironmentSpec) -> None:
    """Refuse to record where something is missing for it.

    Raises:
        BadInput: moviepy is not installed, or the environment cannot draw.
    """
    if find_spec("moviepy") is None:
        raise BadInput("a video needs moviepy, not installed here: pip install 'pogo[video]'.")
    drawing_environment(spec).close()


class VideoRecorder:
    """Plays episodes of an evaluation once more, one at a time, in an environment that draws.

    Start states and noise are those of the evaluation of this seed and step.
    """

    def __init__(self, act: Act, spec: EnvironmentSpec, normalisation: Normalisation, seed: int, step: int) -> None:
        """Prepare; nothing is made yet.

        Args:
            act: the policies.
            spec: their environment.
            normalisation: of what they see and do.
            seed: of the evaluation.
            step: of the checkpoint, or of the run.
        """
        self._act, self._spec, self._normalisation = act, spec, normalisation
        self._seed, self._step = seed, step

    def record(self, pairs: Sequence[Pair], episodes: int, folder: Path) -> Iterator[Recording]:
        """A file per pair and episode: actor_2_stochastic-episode-0.mp4.

        Raises:
            BadInput: the environment cannot draw.
            RunFailed: a policy's actions are not finite, or a file cannot be written.
        """
        for pair in pairs:
            prefix = f"actor_{pair.actor}_{pair.mode}"
            drawing = drawing_environment(self._spec, FRAME_SIZE)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*Overwriting existing videos.*")
                recorder = RecordVideo(drawing, str(folder), episode_trigger=lambda _: True, name_prefix=prefix)
            with closing(recorder):
                for episode in range(episodes):
                    total, length = self._play(recorder, pair, episode, episodes)
                    recorder.stop_recording()
                    path = folder / f"{prefix}-episode-{episode}.mp4"
                    if not path.exists():
                        raise RunFailed(f"{path} could not be written.")
                    yield Recording(pair, episode, path, total, length)

    def clip(self, pair: Pair, episodes: int) -> bytes:
        """The first episode of a pair as a GIF, of at most CLIP_FRAMES frames, for a log."""
        drawing = drawing_environment(self._spec, CLIP_SIZE)
        frames = _FrameKeeper(drawing)
        with closing(frames):
            self._play(frames, pair, 0, episodes)
        return _as_gif(frames.kept)

    def _play(self, environment: gymnasium.Env, pair: Pair, episode: int, episodes: int) -> tuple[float, int]:
        """One episode; its return and its length."""
        starts = stream(self._seed, "evaluation starts", self._step).generate_state(episodes)
        draws = generator(self._seed, "evaluation noise", self._step)
        observation, _ = environment.reset(seed=int(starts[episode]))
        total, length, ended = 0.0, 0, False
        while not ended:
            noise = draws.standard_normal((episodes, self._spec.action_size), dtype=np.float32)[episode : episode + 1]
            rows = self._normalisation.observations(np.asarray(observation))[None, None]
            box = self._act(rows, (pair,), noise)[0, 0]
            if not np.isfinite(box).all():
                raise RunFailed(f"actor {pair.actor}, {pair.mode}: gives non-finite actions; it has diverged.")
            action = self._spec.actions(self._normalisation.environment_actions(box))
            observation, reward, terminated, truncated, _ = environment.step(action)
            total, length, ended = total + float(reward), length + 1, bool(terminated or truncated)
        return total, length


class _FrameKeeper(gymnasium.Wrapper):
    """Keeps every so many of the frames of an episode: twice as few whenever there would be too many."""

    def __init__(self, environment: gymnasium.Env) -> None:
        super().__init__(environment)
        self.kept: list[np.ndarray] = []
        self._every, self._steps = 1, 0

    def step(self, action: np.ndarray) -> tuple:
        given = self.env.step(action)
        if self._steps % self._every == 0:
            frame = self.env.render()
            assert isinstance(frame, np.ndarray)
            self.kept.append(frame)
        self._steps += 1
        if len(self.kept) > CLIP_FRAMES:
            self.kept = self.kept[::2]
            self._every *= 2
        return given


def _as_gif(frames: Sequence[np.ndarray]) -> bytes:
    from PIL import Image  # late: it comes with pogo[video]

    images = [Image.fromarray(frame).resize((CLIP_SIZE, CLIP_SIZE)) for frame in frames]
    image = io.BytesIO()
    images[0].save(image, "GIF", save_all=True, append_images=images[1:], duration=50, loop=0)
    return image.getvalue()
