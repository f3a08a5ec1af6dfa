"""What stands on pogo-train's command line beside key=value, in Hydra's own spelling."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from pogo.core.errors import BadInput

CFG_PARTS = ("job", "hydra", "all")
INFO_PARTS = ("defaults", "searchpath")
_FLAGS = {
    "-m": "many",
    "--multirun": "many",
    "--in-sweep": "in_sweep",
    "--resolve": "resolve",
    "-r": "resolve",
}
_CHOICES = {"--cfg": ("cfg", CFG_PARTS), "--info": ("info", INFO_PARTS)}  # the first where none is given
_VALUES = {
    "--config-dir": ("config_dir", "a folder that holds groups, such as my_conf"),
    "-cd": ("config_dir", "a folder that holds groups, such as my_conf"),
    "--config-name": ("config_name", "the name of a primary file, without .yaml"),
    "-cn": ("config_name", "the name of a primary file, without .yaml"),
    "--shell-completion": ("completion", "install=bash, or another shell"),
    "-sc": ("completion", "install=bash, or another shell"),
    "--jobs": ("jobs", "a whole number of at least 1"),
}


@dataclass
class TrainOptions:
    """The options, taken apart."""

    overrides: list[str] = field(default_factory=list)  # key=value, those that an option stands for among them
    many: bool = False  # -m: a run for each combination of values
    in_sweep: bool = False  # this is one of them: an experiment's settings without its sweep
    resolve: bool = False  # what --cfg prints is resolved in any case
    jobs: str = "1"
    cfg: str | None = None  # a part of the config that is printed
    info: str | None = None  # a part of what Hydra knows of it
    completion: str | None = None
    config_dir: str | None = None
    config_name: str | None = None

    @classmethod
    def read(cls, arguments: Sequence[str]) -> Self:
        """Take a command line apart.

        Raises:
            BadInput: an option lacks its value, or has one that it does not take.
        """
        options, rest = cls(), deque(arguments)
        while rest:
            argument = rest.popleft()
            name, separator, value = argument.partition("=")
            if argument in _FLAGS:
                setattr(options, _FLAGS[argument], True)
            elif name in _CHOICES:
                key, known = _CHOICES[name]
                follows = rest.popleft() if not separator and rest and rest[0] in known else known[0]
                setattr(options, key, _one_of(name, value if separator else follows, known))
            elif name in _VALUES:
                key, what = _VALUES[name]
                given = value if separator else (rest.popleft() if rest else "")
                if not given:
                    raise BadInput(f"{name}: give {what}.")
                setattr(options, key, given)
            else:
                options.overrides.append(argument)
        if options.config_dir is not None:
            quoted = options.config_dir.replace("'", "\\'")
            options.overrides.append(f"hydra.searchpath=['{quoted}']")
        if options.config_name is not None:
            options.overrides.append(f"hydra.job.config_name={options.config_name}")
        return options

    @property
    def num_jobs(self) -> int:
        """How many runs go on side by side.

        Raises:
            BadInput: it is no whole number of at least 1.
        """
        if not self.jobs.isdecimal() or int(self.jobs) < 1:
            raise BadInput(f"--jobs {self.jobs}: use a whole number of at least 1.")
        return int(self.jobs)


def _one_of(name: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise BadInput(f"{name}={value} is none of {', '.join(known)}.")
    return value
