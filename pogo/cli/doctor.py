"""pogo: what this machine has for pogo, and what to install for what is missing."""

import argparse
import platform
import sys
from collections.abc import Iterator, Sequence

from pogo import __version__
from pogo.cli.common import CommandParser, run_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(_parser, _run, arguments)


def _parser() -> CommandParser:
    parser = CommandParser(
        "pogo",
        "doctor",
        """\
Say what this machine has for pogo: versions, backends and their devices, MuJoCo and how it draws; and what to install
for what is missing.""",
        """\
The other commands: pogo-train, pogo-eval, pogo-export, pogo-report, pogo-plot, pogo-collect, pogo-parity, pogo-golden.

Exit codes: 0 a backend works, 1 none does, 2 bad input.""",
    )
    parser.add_argument("task", metavar="doctor", choices=["doctor"], help="the one thing that this command does")
    return parser


def _run(_: argparse.Namespace) -> int:
    from pogo.core.errors import EXIT_DONE, EXIT_FAILED  # late: --help answers without these

    print(f"pogo {__version__}, Python {platform.python_version()}, {platform.platform()}")
    print("\nPackages")
    for line in _packages():
        print(line)
    print("\nBackends")
    works = False
    for line, is_there in _backends():
        works |= is_there
        print(line)
    print("\nDrawing")
    print(_drawing())
    return EXIT_DONE if works else EXIT_FAILED


def _packages() -> Iterator[str]:
    from pogo.core.system.packages import PACKAGES

    for package in PACKAGES:
        version = package.version
        said = version if version is not None else f"missing: {package.mend}"
        yield f"  {package.name:<20}{said:<38}{package.gives}"


def _backends() -> Iterator[tuple[str, bool]]:
    from pogo.core.errors import BadInput
    from pogo.core.registry import BACKENDS, load_backend

    for name in BACKENDS:
        try:
            devices = load_backend(name, "devices").described_devices()
        except BadInput as error:
            yield f"  {name:<20}{error}", False
        except Exception as error:  # noqa: BLE001 - a framework that is half installed may raise anything
            yield f"  {name:<20}does not start: {type(error).__name__}: {error}", False
        else:
            yield f"  {name:<20}{', '.join(devices)}", True


def _drawing() -> str:
    import importlib.util

    from pogo.core.environments.rendering import MUJOCO_GL, working_renderer

    if importlib.util.find_spec("mujoco") is None:
        return f"  {'MuJoCo':<20}missing: pip install 'pogo[mujoco]'"
    found = working_renderer()
    if found is None:
        return f"  {'MuJoCo':<20}simulates, and cannot draw: apt install libegl1 (or libosmesa6)"
    return f"  {'MuJoCo':<20}draws by {MUJOCO_GL}={found}"


if __name__ == "__main__":
    sys.exit(main())
