"""The engines that start runs: processes of this machine, Slurm, Ray. Each is one module, imported when it is used."""

from pogo.core.config.launcher import Launcher, RayLauncher, SlurmLauncher
from pogo.core.sweeps.launchers.engine import Engine


def make_engine(settings: Launcher, run_root: str) -> Engine:
    """The engine of a launcher.

    Args:
        settings: of the launcher.
        run_root: the folder of the runs, which every machine sees.

    Raises:
        BadInput: what it needs is not there.
    """
    if isinstance(settings, SlurmLauncher):
        from pogo.core.sweeps.launchers.slurm_jobs import SlurmEngine

        return SlurmEngine(settings, run_root)
    if isinstance(settings, RayLauncher):
        from pogo.core.sweeps.launchers.ray_tasks import RayEngine

        return RayEngine(settings)
    from pogo.core.sweeps.launchers.processes import LocalEngine

    return LocalEngine(settings)
