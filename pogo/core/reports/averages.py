"""Scores over several datasets: averages with what they lack named, and CORL's layout of them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pogo.core.reports.groups import settings_in_words
from pogo.core.reports.rows import ActorOfGroup, Row
from pogo.core.reports.statistics import Estimate, Resampling, Statistic, estimates

# D4RL's domains, by the first word of a dataset's name; any other name is a domain by that word.
_DOMAINS = {
    **dict.fromkeys(("halfcheetah", "hopper", "walker2d", "ant"), "locomotion"),
    **dict.fromkeys(("pen", "door", "hammer", "relocate"), "adroit"),
}


class Policy(NamedTuple):
    """What is compared over datasets: an actor of an algorithm's chain, in a mode."""

    algorithm: str
    backend: str
    chain: str  # its steps or weights
    settings: str
    actor: int
    mode: str

    def __str__(self) -> str:
        actor = f"actor {self.actor}" if self.actor >= 0 else ""
        return " ".join(filter(None, (self.algorithm, self.backend, self.chain, self.settings, actor, self.mode)))

    @classmethod
    def of(cls, row: Row) -> "Policy":
        """The policy that a row is of."""
        return cls(row.algorithm, row.backend, chain_in_words(row), settings_in_words(row.told), row.actor, row.mode)


@dataclass(frozen=True)
class Average:
    """A policy over several datasets."""

    policy: Policy
    datasets: tuple[str, ...]  # those that it has scores of
    missing: tuple[str, ...]  # those that another policy has, and it has not
    num_seeds: tuple[int, ...]  # of each of its datasets
    estimates: dict[str, Estimate]

    @property
    def name(self) -> str:
        """What its row is called, with what it lacks."""
        number = len(self.datasets) + len(self.missing)
        return f"average of {number}" if not self.missing else f"average of {len(self.datasets)} of {number}"


def chain_in_words(row: ActorOfGroup) -> str:
    """The steps or weights of a row's chain, as tables show them."""
    numbers = ", ".join(f"{value:g}" for value in row.steps or row.w2_weights)
    return f"steps [{numbers}]" if row.steps else f"[{numbers}]"


def averages(
    rows: Sequence[Row], statistics: Sequence[Statistic], resampling: Resampling, of: Iterable[str] | None = None
) -> list[Average]:
    """Every policy's scores over the datasets that any policy has, each a stratum; see `estimate`.

    A dataset without scores, such as one without reference returns, is missing for the policy that ran on it.

    Args:
        rows: one per policy and dataset: evaluations at one point of each run.
        statistics: of the scores.
        resampling: how the intervals are made.
        of: the datasets to average over; none: all in `rows`.
    """
    wanted = sorted({row.dataset for row in rows} if of is None else set(of))
    by_policy: dict[Policy, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        by_policy[Policy.of(row)][row.dataset] = row
    found = []
    for policy, of_policy in sorted(by_policy.items()):
        scored = [name for name in wanted if name in of_policy and of_policy[name].scores]
        if not scored:
            continue
        strata = [of_policy[name].scores for name in scored]
        found.append(
            Average(
                policy,
                tuple(scored),
                tuple(name for name in wanted if name not in scored),
                tuple(map(len, strata)),
                estimates(strata, statistics, resampling),
            )
        )
    return found


def missing_in_words(found: Sequence[Average]) -> list[str]:
    """A sentence for each set of datasets that some averages lack, and for averages over unequal numbers of seeds."""
    lacking: dict[tuple[str, ...], list[str]] = defaultdict(list)
    sentences = []
    for average in found:
        if average.missing:
            lacking[average.missing].append(str(average.policy))
        if len(set(average.num_seeds)) > 1:
            counts = zip(average.datasets, average.num_seeds, strict=True)
            seeds = ", ".join(f"{name} {count}" for name, count in counts)
            sentences.append(
                f"{average.policy} has unequal numbers of seeds ({seeds}): iqm and optimality_gap count every run once."
            )
    named = [
        f"no scores of {', '.join(missing)}, which averages leave out: {'; '.join(dict.fromkeys(policies))}."
        for missing, policies in lacking.items()
    ]
    return list(dict.fromkeys([*named, *sentences]))


@dataclass(frozen=True)
class Layout:
    """Datasets down, policies across, as CORL's tables are: an average below each domain, and one of all."""

    policies: tuple[Policy, ...]
    rows: tuple[tuple[str, tuple[Estimate | None, ...]], ...]  # a dataset's or an average's name, and its cells
    averages: tuple[Average, ...]  # behind the rows that are averages


def corl_layout(rows: Sequence[Row], statistic: Statistic, resampling: Resampling) -> Layout:
    """Scores by dataset and policy; None where a policy has no runs on a dataset, or no scores there."""
    policies = tuple(sorted({Policy.of(row) for row in rows}))
    cells = {(Policy.of(row), row.dataset): row for row in rows if row.scores}
    domains: dict[str, list[str]] = defaultdict(list)
    for name in sorted({row.dataset for row in rows}):
        domains[_domain(name)].append(name)
    lines: list[tuple[str, tuple[Estimate | None, ...]]] = []
    behind: list[Average] = []

    def add_average(title: str, datasets: Sequence[str]) -> None:
        found = {average.policy: average for average in averages(rows, (statistic,), resampling, datasets)}
        behind.extend(found.values())
        of_policies = [found[policy].estimates.get(statistic) if policy in found else None for policy in policies]
        lines.append((title, tuple(of_policies)))

    for domain, datasets in sorted(domains.items()):
        for name in datasets:
            of_dataset = [cells.get((policy, name)) for policy in policies]
            found = [{} if row is None else estimates([row.scores], (statistic,), resampling) for row in of_dataset]
            lines.append((name, tuple(each.get(statistic) for each in found)))
        if len(datasets) > 1:
            add_average(f"{domain} average", datasets)
    if len(domains) > 1:
        add_average("average of all", [name for datasets in domains.values() for name in datasets])
    return Layout(policies, tuple(lines), tuple(behind))


def _domain(dataset: str) -> str:
    word = dataset.partition("-")[0].lower()
    return _DOMAINS.get(word, word)
