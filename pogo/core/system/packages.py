"""What is installed of the packages that pogo can use."""

import importlib.metadata
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """A package that pogo can use."""

    name: str  # that it is installed by
    module: str  # that it is imported by
    extra: str  # of pogo, that brings it; empty: pogo always does
    gives: str  # what it is there for

    @property
    def version(self) -> str | None:
        """The installed version; None: it is not installed."""
        if importlib.util.find_spec(self.module) is None:
            return None
        try:
            return importlib.metadata.version(self.name)
        except importlib.metadata.PackageNotFoundError:  # importable from a folder
            return "of unknown version"

    @property
    def mend(self) -> str:
        """How to install it."""
        return f"pip install 'pogo[{self.extra}]'" if self.extra else f"pip install {self.name}"


PACKAGES: Sequence[Package] = (
    Package("numpy", "numpy", "", "arrays"),
    Package("hydra-core", "hydra", "", "configs"),
    Package("gymnasium", "gymnasium", "", "environments"),
    Package("torch", "torch", "torch", "backend=torch"),
    Package("geomloss", "geomloss", "torch", "w2.solver=geomloss"),
    Package("jax", "jax", "jax", "backend=jax"),
    Package("flax", "flax", "jax", "policies as flax modules, StableHLO"),
    Package("ott-jax", "ott", "jax", "w2.solver=ott"),
    Package("mujoco", "mujoco", "mujoco", "Hopper, HalfCheetah, Walker2d, Ant and others"),
    Package("gymnasium-robotics", "gymnasium_robotics", "antmaze", "AntMaze"),
    Package("minari", "minari", "minari", "dataset.name=minari:ID"),
    Package("d4rl", "d4rl", "d4rl", "D4RL's own environments"),
    Package("onnx", "onnx", "export", "pogo-export --format onnx"),
    Package("onnxruntime", "onnxruntime", "export", "pogo-export --format onnx"),
    Package("moviepy", "moviepy", "video", "pogo-eval --video"),
    Package("pygame", "pygame", "video", "pictures of Pendulum and other classic tasks"),
    Package("matplotlib", "matplotlib", "plot", "pogo-plot"),
    Package("vl-convert-python", "vl_convert", "report", "pogo-report --html"),
    Package("submitit", "submitit", "slurm", "launcher=slurm"),
    Package("ray", "ray", "ray", "launcher=ray"),
    Package("optuna", "optuna", "tune", "pogo-tune"),
    Package("wandb", "wandb", "wandb", "logger.wandb=true"),
)
