"""The Hydra group `launcher`: where the runs of one command are computed, and with what of each machine.

No setting of it is part of a run: the same run goes on wherever it is started again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TypeAlias

from pogo.core.errors import BadInput, check_name
from pogo.core.setting import Values, meaning_of, setting

GROUP = "launcher"
DEFAULT = "local"
_LARGEST = 2**31 - 1


@dataclass(frozen=True)
class LocalLauncher:
    """Processes of this machine, some of them side by side."""

    # Runs side by side; none: one, or `jobs_per_gpu` on each GPU.
    jobs: int | None = setting(None, least=1, most=_LARGEST)
    # Runs that share a GPU. Each sees one GPU alone, and JAX takes no more of its memory than its share.
    jobs_per_gpu: int = setting(1, least=1, most=_LARGEST)
    gpus: list[str] | None = None  # those to use, as CUDA_VISIBLE_DEVICES names them; none: all that can be seen
    max_retries: int = setting(0, least=0, most=_LARGEST)  # of a run that is killed, as by a system short of memory


@dataclass(frozen=True)
class SlurmLauncher:
    """One job array of Slurm's, by submitit."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    # Of each job.
    gpus: int = setting(0, least=0, most=_LARGEST)
    cpus: int = setting(1, least=1, most=_LARGEST)
    mem: str | None = None  # such as 16GB
    timeout_min: int = setting(24 * 60, least=1, most=_LARGEST)
    # Seconds before the time limit at which the runs are told to save; what they need to do so.
    signal_delay_s: int = setting(120, least=1, most=_LARGEST)
    # How often a job goes back into the queue: at its time limit, or where its runs were killed.
    max_requeues: int = setting(10, least=0, most=_LARGEST)
    array_parallelism: int = setting(256, least=1, most=_LARGEST)  # jobs at a time
    runs_per_job: int = setting(1, least=1, most=_LARGEST)  # side by side, sharing what the job has
    setup: list[str] = setting([])  # lines of shell before the job's own, such as `module load cuda`
    sbatch: list[str] = setting([])  # further options of sbatch, such as '--constraint=a100'
    folder: str | None = setting(None, path=True)  # of submitit's files, seen by every node; none: <run.root>/slurm
    detach: bool = False  # leave the jobs to the cluster; pogo-train -m ... --status follows them


@dataclass(frozen=True)
class RayLauncher:
    """Tasks of a Ray cluster."""

    # Of the cluster, or auto for the one of this machine; none: one of this command's own, until its end.
    address: str | None = None
    # Of each run; fractions of a GPU let several share it.
    cpus: float = setting(1.0, least=0.0, most=_LARGEST)
    gpus: float = setting(0.0, least=0.0, most=_LARGEST)
    max_retries: int = setting(3, least=0, most=_LARGEST)  # of a run whose worker or process is killed


Launcher: TypeAlias = LocalLauncher | SlurmLauncher | RayLauncher
LAUNCHERS: Mapping[str, type[Launcher]] = {"local": LocalLauncher, "slurm": SlurmLauncher, "ray": RayLauncher}


def launcher_of(values: Values) -> Launcher:
    """The launcher that the composed group says.

    Raises:
        BadInput: a number out of its bounds.
    """
    kind = LAUNCHERS[values["name"]]
    for entry in fields(kind):
        meaning_of(entry).check(f"{GROUP}.{entry.name}", values[entry.name])
    return kind(**{entry.name: values[entry.name] for entry in fields(kind)})


def check_launcher_key(launcher: Launcher, key: str) -> None:
    """Refuse a setting that a launcher does not have.

    Raises:
        BadInput: with the nearest that it has.
    """
    name = next(name for name, kind in LAUNCHERS.items() if isinstance(launcher, kind))
    check_name(f"with {GROUP}={name}, setting", key, [f"{GROUP}.{entry.name}" for entry in fields(launcher)])


def is_path_of_launcher(key: str) -> bool:
    """Whether a setting of the group names a folder, which is taken as it is typed."""
    named = (entry for kind in LAUNCHERS.values() for entry in fields(kind) if key == f"{GROUP}.{entry.name}")
    return any(meaning_of(entry).path for entry in named)


def is_of_launcher(key: str) -> bool:
    """Whether an option's key is the group's, or one of its settings'."""
    return key == GROUP or key.startswith(f"{GROUP}.")


def refuse_without_many(line: str) -> BadInput:
    """What to say of the group where one run is asked for."""
    return BadInput(f"{line}: a launcher starts many runs; add -m.")
