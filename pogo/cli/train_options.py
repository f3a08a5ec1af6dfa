"""What stands on pogo-train's command line beside key=value, in Hydra's own spelling."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from typing_extensions import override

from pogo.core.errors import BadInput

_PARTS = {"cfg": ("job", "hydra", "all"), "info": ("defaults", "searchpath")}  # the first where none is named
_VALUES = {
    "config": ("--config", "a run's config.json"),
    "config_dir": ("--config-dir", "a folder that holds groups, such as my_conf"),
    "config_name": ("--config-name", "the name of a primary file, without .yaml"),
    "completion": ("-sc", "install=bash, or another shell"),
    "jobs": ("--jobs", "a whole number of at least 1"),
}


class _Part(argparse.Action):
    """An option whose value may be left out: the setting that follows it then is none."""

    @override
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        parts, value = _PARTS[self.dest], values
        if isinstance(value, str) and "=" in value:
            namespace.more_overrides = [*namespace.more_overrides, value]
            value = None
        if value is None:
            value = parts[0]
        if value not in parts:
            raise BadInput(f"{option_string}={value} is none of {', '.join(parts)}.")
        setattr(namespace, self.dest, value)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Put the options on a parser."""
    parser.set_defaults(more_overrides=[])
    add = parser.add_argument
    add("overrides", nargs="*", metavar="key=value", help="settings, see below")
    add(
        "-m", "--multirun", dest="many", action="store_true",
        help="many runs: a key takes several values (seed=0,1,2  algorithm=iql,td3_bc  seed=range(0,10)), and there is "
        "a run for each combination; experiment=NAME names a study of conf/experiment. What is finished is not run "
        "again.",
    )  # fmt: skip
    add(
        "--jobs", metavar="N", nargs="?", const="",
        help="with -m: so many runs side by side on this machine, 1 by default; short for launcher.jobs=N. "
        "launcher=slurm and launcher=ray start them on a cluster",
    )  # fmt: skip
    add("--status", action="store_true", help="with -m: how far each run is, by the folders alone; starts nothing")
    add("--json", dest="as_json", action="store_true", help="with --status: as JSON")
    add("--cancel", action="store_true", help="with -m: have the runs that go on save and stop, and start no other")
    add("--retry-failed", action="store_true", help="with -m: start those again that have failed; else they are left")
    add(
        "--cfg", metavar="PART", nargs="?", action=_Part,
        help="print the whole config that these options make, and where each setting comes from; with -m, the runs; "
        "PART: job, the default; hydra, Hydra's own; all, both",
    )  # fmt: skip
    add(
        "--info", metavar="PART", nargs="?", action=_Part,
        help="print the list of defaults that the config is composed of; PART: defaults, or searchpath, where "
        "groups are found",
    )  # fmt: skip
    add(
        "--config", metavar="FILE", nargs="?", const="",
        help="a run's config.json (or its folder): begin with that run's settings, inferred ones too; other options "
        "change them. The run goes where its settings say, below run.root, never to the run.dir of the other: in the "
        "same place the same settings go on with that run, or find it finished",
    )  # fmt: skip
    add(
        "-cd", "--config-dir", metavar="DIR", nargs="?", const="",
        help="a folder of groups of your own, beside pogo's: DIR/dataset/mydata.yaml is dataset=mydata",
    )  # fmt: skip
    add(
        "-cn", "--config-name", metavar="NAME", nargs="?", const="",
        help="a primary file there in place of pogo's: NAME.yaml, whose defaults begin with config",
    )  # fmt: skip
    add(
        "-sc", "--shell-completion", dest="completion", metavar="install=SHELL", nargs="?", const="",
        help='print what completes these options: eval "$(pogo-train -sc install=bash)"',
    )  # fmt: skip
    add("-r", "--resolve", action="store_true", help="Hydra's; what --cfg prints is resolved in any case")


def _check_many(options: argparse.Namespace) -> None:
    """Refuse options of many runs where there is one, and those that do not go together."""
    for name in ("jobs", "status", "cancel", "retry_failed"):
        if getattr(options, name) and not options.many:
            raise BadInput(f"--{name.replace('_', '-')} is of many runs; add -m.")
    if options.as_json and not options.status:
        raise BadInput("--json is of --status; add it.")
    if options.status and options.cancel:
        raise BadInput("--status and --cancel: one at a time.")


def _quoted(path: str) -> str:
    """A path as Hydra's grammar takes it."""
    escaped = path.replace("'", "\\'")
    return f"'{escaped}'"


@dataclass(frozen=True)
class TrainOptions:
    """The options, taken apart."""

    overrides: list[str]  # key=value, those that an option stands for among them
    many: bool  # a run for each combination of values
    num_jobs: int | None  # runs that go on side by side; none: as the launcher says
    status: bool  # only say how far the runs are
    as_json: bool  # that as JSON
    cancel: bool  # stop what runs of them
    retry_failed: bool  # start those again that have failed
    cfg: str | None  # a part of the config that is printed
    info: str | None  # a part of what Hydra knows of it
    completion: str | None

    @classmethod
    def read(cls, options: argparse.Namespace) -> Self:
        """Check what argparse has taken apart.

        Raises:
            BadInput: an option lacks its value, or `--jobs` is no whole number of at least 1.
        """
        for name, (option, what) in _VALUES.items():
            if getattr(options, name) == "":
                raise BadInput(f"{option}: give {what}.")
        if options.jobs is not None and (not options.jobs.isdecimal() or int(options.jobs) < 1):
            raise BadInput(f"--jobs {options.jobs}: use a whole number of at least 1.")
        _check_many(options)
        overrides = [*options.overrides, *options.more_overrides]
        if options.config is not None:
            overrides.insert(0, f"hydra.job.config_file={_quoted(options.config)}")
        if options.config_dir is not None:
            overrides.append(f"hydra.searchpath=[{_quoted(options.config_dir)}]")
        if options.config_name is not None:
            overrides.append(f"hydra.job.config_name={options.config_name}")
        return cls(
            overrides,
            many=options.many,
            num_jobs=None if options.jobs is None else int(options.jobs),
            status=options.status,
            as_json=options.as_json,
            cancel=options.cancel,
            retry_failed=options.retry_failed,
            cfg=options.cfg,
            info=options.info,
            completion=options.completion,
        )
