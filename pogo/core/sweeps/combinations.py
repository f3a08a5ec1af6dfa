"""The options of one command, and what an experiment's `sweep` adds to them, as the options of each of its runs."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, Override, RangeSweep, Sweep

from pogo.core.config.compose import parse_overrides
from pogo.core.config.experiments import experiment_sweep
from pogo.core.config.provenance import GROUPS
from pogo.core.config.schema import meaning
from pogo.core.config.search_path import OWN_KEYS, search_path
from pogo.core.errors import BadInput

MOST_RUNS = 10_000  # of one command: each config is checked before the first run starts


class Axis(NamedTuple):
    """A key, and the overrides `key=value` that it takes in turn, one or several."""

    key: str
    values: list[str]


Block = list[Axis]  # stands for a run of every combination


def blocks_of(arguments: Sequence[str]) -> list[Block]:
    """The options, and what the experiment that they name runs over, block by block.

    Raises:
        BadInput: an option that cannot be read, or that has no values; or more runs than one command starts.
    """
    axes = _axes(arguments)
    names = [axis.values for axis in axes if axis.key == "experiment" and axis.values != ["experiment=null"]]
    if not names:
        return [axes]
    if len(names[0]) > 1:
        raise BadInput(f"{' and '.join(names[0])}: one experiment at a time.")
    folders = search_path(parse_overrides([argument for argument in arguments if argument.startswith(OWN_KEYS)]))
    of_experiment = [
        [Axis(key, [f"{key}={_literal(value)}" for value in values]) for key, values in block.items()]
        for block in experiment_sweep(names[0][0].partition("=")[2], folders)
    ]
    blocks = _beside_options(of_experiment, axes, names[0][0])
    if (count := sum(math.prod(len(axis.values) for axis in block) for block in blocks)) > MOST_RUNS:
        raise BadInput(f"{names[0][0]} makes this {count} runs; one command starts at most {MOST_RUNS}.")
    return blocks


def swept_keys(blocks: Sequence[Block]) -> dict[str, list[str]]:
    """The keys that runs may differ by, and all that each is set to."""
    found: dict[str, list[str]] = {}
    for key in dict.fromkeys(axis.key for block in blocks for axis in block):
        of_blocks = [[axis.values for axis in block if axis.key == key] for block in blocks]
        if any(each != of_blocks[0] for each in of_blocks) or any(len(values) > 1 for values in of_blocks[0]):
            found[key] = [text for each in of_blocks for values in each for text in values]
    return found


def combinations(blocks: Sequence[Block]) -> Iterator[list[tuple[str, str]]]:
    """Key and override of every option of every run; a run that several blocks have in common is made once."""
    seen: set[frozenset[str]] = set()
    for block in blocks:
        of_block = [
            list(zip((axis.key for axis in block), chosen, strict=True))
            for chosen in itertools.product(*(axis.values for axis in block))
        ]
        texts = [frozenset(text for _, text in chosen) for chosen in of_block]
        yield from (chosen for chosen, text in zip(of_block, texts, strict=True) if text not in seen)
        seen.update(texts)


def _axes(arguments: Sequence[str]) -> Block:
    axes: Block = []
    for argument in arguments:
        key, separator, value = argument.partition("=")
        if meaning(key).path and separator:  # Hydra's grammar is not for paths
            axes.append(Axis(key, [f"{key}={part}" for part in value.split(",")]))
            continue
        (override,) = parse_overrides([argument])
        axes.append(Axis(override.key_or_group, _values(override, argument)))
        if (count := math.prod(len(axis.values) for axis in axes)) > MOST_RUNS:
            raise BadInput(f"{argument} makes this {count} runs; one command starts at most {MOST_RUNS}.")
    return axes


def _beside_options(blocks: list[Block], options: Block, experiment: str) -> list[Block]:
    """An experiment's blocks beside the options.

    Of several blocks, a choice of a group that some of them make picks these, for what else they say goes with it: the
    weights of a dataset, say. Any other option takes the place of theirs.
    """
    given = {key: {_choice(text) for text in values} for key, values in options if key in GROUPS}
    offered = {
        key: {_choice(text) for block in blocks for name, values in block if name == key for text in values}
        for key in given
    }
    picked = {key: choices for key, choices in given.items() if len(blocks) > 1 and choices & offered[key]}
    for key, choices in picked.items():
        if others := sorted(choices - offered[key]):
            raise BadInput(
                f"{key}={others[0]} is in no cell of {experiment}, and {key}={min(choices & offered[key])} is; give "
                "each a command of its own."
            )
    replaced = {axis.key for axis in options} - picked.keys()
    left = []
    for block in blocks:
        own = [
            Axis(key, [text for text in values if key not in picked or _choice(text) in picked[key]])
            for key, values in block
            if key not in replaced
        ]
        keys = {axis.key for axis in own}
        if all(axis.values for axis in own):
            left.append([*own, *(axis for axis in options if axis.key not in keys)])
    if not left:
        asked = " and ".join(f"{key}={','.join(sorted(choices))}" for key, choices in picked.items())
        raise BadInput(f"{experiment} has no cell with {asked}; its file says which go together.")
    return left


def _choice(text: str) -> str:
    """The choice of an override of a group, without the quotes that it may be written in."""
    return str(parse_overrides([text])[0].value())


def _values(override: Override, argument: str) -> list[str]:
    """The overrides `key=value` that one takes, one or several.

    Raises:
        BadInput: the override takes no values, too many to list, or values that cannot be listed.
    """
    if not override.is_sweep_override():
        return [argument]
    key, sweep = override.key_or_group, override.value()
    if isinstance(sweep, RangeSweep):
        _check_range(sweep, argument)
    elif not isinstance(sweep, ChoiceSweep) or any(isinstance(entry, Sweep | Glob) for entry in sweep.list):
        kind = "an interval has no values to list" if isinstance(sweep, IntervalSweep) else "list the values"
        raise BadInput(f"{argument}: {kind}; write {key}=a,b, or {key}=range(start,stop,step).")
    values = [f"{key}={text}" for text in override.sweep_string_iterator()]
    if not values:
        raise BadInput(f"{argument}: no values, and so no run; write {key}=a,b.")
    return values


def _check_range(sweep: RangeSweep, argument: str) -> None:
    start, stop, step = (0 if number is None else number for number in (sweep.start, sweep.stop, sweep.step))
    if step == 0 or not all(math.isfinite(number) for number in (start, stop, step)):
        raise BadInput(f"{argument}: a range goes from start to stop by a step that is not 0, as in range(0,10,2).")
    count = math.ceil((stop - start) / step)
    if count < 1:
        raise BadInput(f"{argument}: no values between {start} and {stop} by steps of {step}, and so no run.")
    if count > MOST_RUNS:
        raise BadInput(f"{argument}: {count} values; one command starts at most {MOST_RUNS} runs.")


def _literal(value: Any) -> str:
    """A YAML value as Hydra's grammar writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(_literal(entry) for entry in value)}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{_literal(entry)}' for key, entry in value.items())}}}"
    return str(value)
