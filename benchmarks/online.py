"""Learning curve and environment steps per second of online SAC, beside stable-baselines3's, as Markdown.

    python benchmarks/online.py                  # HalfCheetah-v5, 100 000 steps, 1 and 3 actors in JAX: an hour
    python benchmarks/online.py --env Pendulum-v1 --env-steps 20000 --learning-starts 1000 --eval-every 2000
    python benchmarks/online.py --backends jax torch --num-actors 1 --seed 1 --json online.json

Needs stable-baselines3: pip install 'pogo[benchmark]'. Both sides have the settings below and the same networks,
initial distributions, optimizer, environment, uniform actions at first, one update per step after those, and
evaluations: the deterministic policy from the same start states, in environments of its own. What differs is the
algorithms' own (SB3 2.9): SB3's std is exp(raw), raw cut to [-20, 2], pogo's softplus(raw) + 0.01; SB3's actor
maximises the minimum of the critics, pogo's their mean; SB3 takes Q and the log-density at one sample, pogo at two;
SB3's change of variables adds 1e-6 inside the logarithm. With two critics the critics' losses are equal: half of SB3's
sum is pogo's mean. SB3 keeps observations in the environment's precision, pogo in float32.

The sides run one after another, each in a process of its own, all pinned to the same processors. Speeds are of the
windows between evaluations, each side's from its own clock; windows that begin before learning does, evaluations,
checkpoints and compilation are left out. So that a noisy machine shows, the matrix rate (benchmarks/train.py, in torch)
is measured before and after each side. One seed: curves of equal algorithms differ too.
"""

import argparse
import importlib.util
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.train import MATRIX_PRODUCTS, MATRIX_SIZE, NO_CACHES, THREAD_VARIABLES, matrix_seconds
from pogo.core.data.preprocessing import Normalisation
from pogo.core.environments.make import environment_spec, make_environment
from pogo.core.errors import EXIT_DONE, BadInput, RunFailed
from pogo.core.problem.actors import ActorConfig
from pogo.core.registry import BACKENDS, check_backend
from pogo.core.runs.evaluation import Evaluator

# Of both sides.
HIDDEN_SIZE, NUM_LAYERS = 256, 2  # with ReLU, of actor and critics
NUM_CRITICS = 2  # targets are their minimum
BATCH_SIZE = 256
LEARNING_RATE = 3e-4  # of actor, critics and temperature
TAU, DISCOUNT = 0.005, 0.99
INITIAL_TEMPERATURE = 1.0  # tuned to an entropy of minus the action size, both sides' default
REPLAY_CAPACITY = 1_000_000

SB3 = "stable-baselines3"
MATRIX_ROUNDS = 9


@dataclass(frozen=True)
class Settings:
    """What is learnt, for how long, and where it is looked at."""

    env: str
    env_steps: int
    learning_starts: int
    eval_every: int
    eval_episodes: int
    seed: int
    threads: int

    @property
    def boundaries(self) -> list[int]:
        """The environment steps at which policies are evaluated: each ends a window."""
        return [*range(self.eval_every, self.env_steps, self.eval_every), self.env_steps]

    @property
    def learning_windows(self) -> list[int]:
        """The ends of the windows that have an update for every step."""
        ends = self.boundaries
        return [end for start, end in zip([0, *ends], ends, strict=False) if start >= self.learning_starts]


@dataclass(frozen=True)
class Score:
    """Return of one deterministic policy at one evaluation, over the episodes."""

    mean: float
    std: float


@dataclass(frozen=True)
class Run:
    """What one side gives."""

    side: str
    speeds: dict[int, float]  # environment steps per second of each window, by its end
    curves: dict[str, dict[int, Score]]  # by policy, then by environment steps
    compile_seconds: float
    wall_seconds: float  # of everything
    matrix_rates: tuple[float, float] = (0.0, 0.0)  # just before and after it


def learn_with_sb3(settings: Settings) -> Run:
    """The side of SB3, in this process."""
    import torch
    from stable_baselines3 import SAC

    torch.set_num_threads(settings.threads)
    began = time.perf_counter()
    spec = environment_spec(settings.env)
    model = SAC(
        "MlpPolicy",
        make_environment(spec),  # pogo's own, without gymnasium's checker
        learning_rate=LEARNING_RATE,
        buffer_size=REPLAY_CAPACITY,
        learning_starts=settings.learning_starts,
        batch_size=BATCH_SIZE,
        tau=TAU,
        gamma=DISCOUNT,
        train_freq=1,
        gradient_steps=1,
        ent_coef=f"auto_{INITIAL_TEMPERATURE}",
        target_entropy="auto",
        policy_kwargs={
            "net_arch": [HIDDEN_SIZE] * NUM_LAYERS,
            "activation_fn": torch.nn.ReLU,
            "n_critics": NUM_CRITICS,
        },
        seed=settings.seed,
        device="cpu",
    )
    speeds: dict[int, float] = {}
    curve: dict[int, Score] = {}
    only_deterministic = ActorConfig("deterministic")
    unchanged = Normalisation.identity(spec.action_low, spec.action_high, spec.observation_size)

    def act(observations: Any, pairs: Any, noise: Any) -> Any:
        return model.policy.scale_action(model.predict(observations[0], deterministic=True)[0])[None]

    with Evaluator([only_deterministic], spec, unchanged, None, settings.eval_episodes) as evaluator:
        for start, end in zip([0, *settings.boundaries], settings.boundaries, strict=False):
            clock = time.perf_counter()
            model.learn(end - start, reset_num_timesteps=False)  # goes on, also inside an episode
            speeds[end] = (end - start) / (time.perf_counter() - clock)
            found = evaluator.evaluate(act, settings.seed, end)[0].deterministic
            if found is None:
                raise RunFailed(f"{SB3}: the evaluation at step {end} failed.")
            curve[end] = Score(found.return_mean, found.return_std)
            print(f"{SB3}: step {end}: {speeds[end]:.0f} steps/s, {cell(curve[end])}", file=sys.stderr, flush=True)
    return Run(SB3, speeds, {SB3: curve}, 0.0, time.perf_counter() - began)


def pogo_arguments(settings: Settings, backend: str, num_actors: int, folder: str) -> list[str]:
    """What `pogo-train` is given."""
    return [
        f"backend={backend}",
        "algorithm=sac",
        f"env={settings.env}",
        f"seed={settings.seed}",
        f"threads={settings.threads}",
        "device=cpu",
        f"run.dir={folder}",
        f"algorithm.hidden_size={HIDDEN_SIZE}",
        f"algorithm.num_layers={NUM_LAYERS}",
        "algorithm.activation=relu",
        f"algorithm.num_critics={NUM_CRITICS}",
        "algorithm.target_backup=min",
        f"algorithm.tau={TAU}",
        f"algorithm.discount={DISCOUNT}",
        f"algorithm.actor_learning_rate={LEARNING_RATE}",
        f"algorithm.critic_learning_rate={LEARNING_RATE}",
        f"algorithm.temperature_learning_rate={LEARNING_RATE}",
        "algorithm.temperature=auto",
        f"algorithm.initial_temperature={INITIAL_TEMPERATURE}",
        f"chain.num_actors={num_actors}",
        f"train.env_steps={settings.env_steps}",
        f"train.batch_size={BATCH_SIZE}",
        f"train.learning_starts={settings.learning_starts}",
        f"train.random_steps={settings.learning_starts}",
        "train.updates_per_step=1",
        f"train.replay_capacity={REPLAY_CAPACITY}",
        f"log.every={settings.eval_every}",
        f"eval.every={settings.eval_every}",
        f"eval.episodes={settings.eval_episodes}",
        "checkpoint.every=0",
        "logger.tensorboard=false",
    ]


def learn_with_pogo(settings: Settings, backend: str, num_actors: int) -> Run:
    """The side of pogo, in this process.

    Raises:
        RuntimeError: the run or one of its evaluations failed; it has told why on stderr.
    """
    from pogo.cli.train import main as pogo_train

    side = pogo_side(backend, num_actors)
    with tempfile.TemporaryDirectory(prefix="pogo-benchmark-") as folder:
        run_dir = Path(folder, "run")
        code = pogo_train(pogo_arguments(settings, backend, num_actors, str(run_dir)))
        if code != EXIT_DONE:
            raise RuntimeError(f"{side}: pogo-train ended with code {code}, see above.")
        windows, evaluations = (
            [json.loads(line) for line in Path(run_dir, name).read_text().splitlines()]
            for name in ("train.jsonl", "eval.jsonl")
        )
        summary = json.loads(Path(run_dir, "summary.json").read_text())
    curves: dict[str, dict[int, Score]] = {}
    for line in evaluations:
        if "failed" in line:
            raise RuntimeError(f"{side}: the evaluation at step {line['env_step']} failed, see above.")
        for actor in line["actors"]:
            name = side if num_actors == 1 else f"{side}: {actor['index']}"
            found = actor["deterministic"]
            curves.setdefault(name, {})[line["env_step"]] = Score(found["return_mean"], found["return_std"])
    speeds = {line["env_step"]: line["env_steps_per_second"] for line in windows}
    return Run(side, speeds, curves, summary["compile_seconds"], summary["wall_seconds"])


def pogo_side(backend: str, num_actors: int) -> str:
    """A name for the tables."""
    return f"pogo {backend}, {num_actors} actor" + ("s" if num_actors > 1 else "")


def matrix_rate(threads: int) -> float:
    """Operations per second of torch's matrix products in this process."""
    import torch

    torch.set_num_threads(threads)
    products = matrix_seconds("torch", "cpu")
    seconds = statistics.median(products() for _ in range(MATRIX_ROUNDS))
    return 2.0 * MATRIX_SIZE**3 * MATRIX_PRODUCTS / seconds


def alone(work: Callable[[], Any]) -> Any:
    """What `work` returns in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work).result()


def measure(settings: Settings, options: argparse.Namespace) -> list[Run]:
    """All sides, SB3 first; `--json` is written after each, since one may take an hour."""
    sides: list[tuple[str, Callable[[], Run]]] = [(SB3, partial(learn_with_sb3, settings))]
    for backend in dict.fromkeys(options.backends):
        for num_actors in dict.fromkeys(options.num_actors):
            learn = partial(learn_with_pogo, settings, backend, num_actors)
            sides.append((pogo_side(backend, num_actors), learn))
    runs: list[Run] = []
    rate = alone(partial(matrix_rate, settings.threads))
    for name, learn in sides:
        print(f"start {name}", file=sys.stderr, flush=True)
        run = alone(learn)
        before, rate = rate, alone(partial(matrix_rate, settings.threads))
        runs.append(Run(run.side, run.speeds, run.curves, run.compile_seconds, run.wall_seconds, (before, rate)))
        if options.json:
            document = {"settings": asdict(settings), "runs": [asdict(run) for run in runs]}
            options.json.write_text(json.dumps(document, indent=2) + "\n")
    return runs


def cell(score: Score) -> str:
    """Mean and std."""
    return f"{score.mean:.1f} ± {score.std:.1f}"


def curve_table(settings: Settings, runs: Sequence[Run]) -> str:
    """Markdown: a row per evaluation, a column per policy."""
    curves = {name: curve for run in runs for name, curve in run.curves.items()}
    lines = [f"| env steps | {' | '.join(curves)} |", "|---" * (1 + len(curves)) + "|"]
    for step in settings.boundaries:
        lines.append(f"| {step} | {' | '.join(cell(curve[step]) for curve in curves.values())} |")
    return "\n".join(lines)


def speed_table(settings: Settings, runs: Sequence[Run]) -> str:
    """Markdown: a row per side; medians over the windows, and how many times SB3's they are."""
    lines = [
        "| side | env steps/s (min - max) | x SB3 | matrix GFLOP/s before, after | compile s | all s |",
        "|---" * 6 + "|",
    ]
    found = {run.side: [run.speeds[end] for end in settings.learning_windows] for run in runs}
    of_sb3 = statistics.median(found[SB3])
    for run in runs:
        speeds = found[run.side]
        before, after = (rate / 1e9 for rate in run.matrix_rates)
        lines.append(
            f"| {run.side} | {statistics.median(speeds):.1f} ({min(speeds):.1f} - {max(speeds):.1f}) | "
            f"{statistics.median(speeds) / of_sb3:.2f} | {before:.0f}, {after:.0f} | {run.compile_seconds:.1f} | "
            f"{run.wall_seconds:.0f} |"
        )
    return "\n".join(lines)


def parse(arguments: Sequence[str] | None = None) -> tuple[argparse.Namespace, Settings]:
    """The command line; what cannot be measured is refused here, before any work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="HalfCheetah-v5", metavar="ID")
    parser.add_argument("--env-steps", type=int, default=100_000, metavar="N")
    parser.add_argument("--learning-starts", type=int, default=10_000, metavar="N", help="steps of uniform actions")
    parser.add_argument("--eval-every", type=int, default=10_000, metavar="N", help="environment steps")
    parser.add_argument("--eval-episodes", type=int, default=5, metavar="N")
    parser.add_argument("--backends", nargs="+", choices=sorted(BACKENDS), default=["jax"], metavar="NAME")
    parser.add_argument("--num-actors", nargs="+", type=int, default=[1, 3], metavar="N", help="lengths of the chain")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="processors of each side")
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args(arguments)
    settings = Settings(
        options.env,
        options.env_steps,
        options.learning_starts,
        options.eval_every,
        options.eval_episodes,
        options.seed,
        options.threads,
    )
    try:
        check(options, settings)
    except BadInput as error:
        parser.error(str(error))
    return options, settings


def check(options: argparse.Namespace, settings: Settings) -> None:
    """Refuse what no side could do.

    Raises:
        BadInput: naming the option, or the package that is missing.
    """
    for name in ("env_steps", "eval_every", "eval_episodes", "num_actors", "threads"):
        value = getattr(options, name)
        if min(value if isinstance(value, list) else [value]) <= 0:
            raise BadInput(f"--{name.replace('_', '-')} is positive, not {value}.")
    for name in ("learning_starts", "seed"):
        if getattr(options, name) < 0:
            raise BadInput(f"--{name.replace('_', '-')} is not negative, unlike {getattr(options, name)}.")
    if not settings.learning_windows:
        raise BadInput(
            f"--env-steps={settings.env_steps}: no window of --eval-every={settings.eval_every} steps begins after "
            f"--learning-starts={settings.learning_starts}, so there is no speed of learning; use more steps."
        )
    processors = len(os.sched_getaffinity(0))
    if settings.threads > processors:
        raise BadInput(f"--threads={settings.threads}: this process may use {processors} processors.")
    if importlib.util.find_spec("stable_baselines3") is None:
        raise BadInput(f"{SB3} is not installed here: pip install 'pogo[benchmark]'.")
    for backend in options.backends:
        check_backend(backend)
    environment_spec(settings.env)


def main() -> None:
    """Parse, measure, print."""
    options, settings = parse()
    # For the processes to come: numpy makes its threads when it is imported, and affinity is inherited.
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(settings.threads)))
    os.environ.update(NO_CACHES | {"JAX_PLATFORMS": "cpu"})
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: settings.threads])
    runs = measure(settings, options)
    print(f"{settings.env}, seed {settings.seed}: deterministic return of {settings.eval_episodes} episodes, ± std\n")
    print(curve_table(settings, runs))
    print(f"\n{settings.env}, {settings.threads} thread" + ("s" if settings.threads > 1 else "") + "\n")
    print(speed_table(settings, runs))


if __name__ == "__main__":
    main()
