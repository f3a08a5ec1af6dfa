"""Tables as text: what is escaped, aligned, left out and bold."""

from pogo.core.reports.statistics import Estimate
from pogo.core.reports.tables import Column, Comparison, latex, markdown


def test_markdown():
    columns = [
        Column("name", ["a|b*", "c"], "left"),
        Column("none", ["", None], required=False),
        Column("score", [1.25, None]),
        Column("iqm", [Estimate(1.0, 0.5, 2.0), Estimate(-3.0)], form=".2f"),
    ]
    assert markdown(columns).splitlines() == [
        r"| name   | score |               iqm |",
        r"| ------ | ----: | ----------------: |",
        r"| a\|b\* |   1.2 | 1.00 [0.50, 2.00] |",
        r"| c      |     - |           -3.00 - |",
    ]


def test_latex_escapes_what_it_reads():
    text = latex([Column("a_b", ["50 % & $x$", "~^\\{}#"], "left"), Column("gain", [-1.5, 2.0])], notes=["one seed"])
    assert text.splitlines() == [
        r"% one seed",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"a\_b & gain \\",
        r"\midrule",
        r"50 \% \& \$x\$ & $-$1.5 \\",
        r"\textasciitilde{}\textasciicircum{}\textbackslash{}\{\}\# & 2.0 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_bold_is_what_meets_the_best_interval():
    cells = [Estimate(5.0, 4.0, 6.0), Estimate(4.2, 3.0, 4.5), Estimate(2.0, 1.0, 3.9), Estimate(9.0), None]
    column = Column("score", cells)
    places = [(row, 0) for row in range(5)]

    def bold(compared: list[tuple[int, int]], larger: bool = True) -> list[int]:
        lines = latex([column], [Comparison(compared, larger)]).splitlines()[4:-2]
        return [index for index, line in enumerate(lines) if "textbf" in line]

    assert bold(places[:3]) == [0, 1]
    assert bold(places[:3], larger=False) == [1, 2]
    assert bold(places) == []  # the best one has no interval: nothing says by how much it is better
    assert bold([]) == []
