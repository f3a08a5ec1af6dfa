"""Recorded runs of the originals, replayed on both backends."""

import dataclasses
import json
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from pogo.cli.golden import main
from pogo.core.verify.adapters import ADAPTERS
from pogo.core.verify.recording import Recording
from pogo.core.verify.rerun import rerun

FOLDER = Path(__file__).resolve().parent
FILES = sorted(path.name for path in FOLDER.glob("*.npz"))


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize("name", FILES)
def test_recorded_run_is_followed(name, backend):
    pytest.importorskip(backend)
    recording = Recording(FOLDER / name)
    comparison = rerun(recording, backend)
    assert comparison.failures() == []
    assert sorted(comparison.errors) == recording.param_steps
    for step in recording.param_steps:
        assert comparison.errors[step].keys() == recording.params(step).keys()
    assert len(comparison.metrics) == recording.steps
    assert all(comparison.metrics.values())
    recorded = {name for step in comparison.metrics for name in recording.metrics(step)}
    missed = ADAPTERS[recording.algorithm].metrics.keys() & recorded - {*chain(*comparison.metrics.values())}
    # Without a multiplier the original logs one that stays.
    assert missed == ({"alpha_prime", "alpha_prime_loss"} if recording.algorithm == "cql" else set())


def test_every_adapter_has_recordings_of_both_types():
    recordings = [Recording(FOLDER / name) for name in FILES]
    for dtype in ("float32", "float64"):
        assert {found.algorithm for found in recordings if found.dtype == dtype} == set(ADAPTERS)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("iql_f64.npz", "expectile_tau", 0.7001),
        ("iql_f64.npz", "cosine_max_steps", 201),
        ("rebrac_f64.npz", "policy_freq", 1),
        ("rebrac_f64.npz", "critic_bc_coef", 0.0501),
    ],
)
def test_a_slightly_wrong_coefficient_shows(name, option, value):
    pytest.importorskip("torch")
    recording = Recording(FOLDER / name)
    recording.hyperparameters[option] = value
    assert rerun(recording, "torch").failures()


def test_command(capsys):
    pytest.importorskip("torch")
    assert main([str(FOLDER / "iql_f64.npz"), "--backend", "torch", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"errors", "metrics"}
    difference, movement, entries = found["errors"]["20"]["critic_1/dense_1/kernel"]
    assert difference < 1e-8 * movement
    assert entries == 32 * 32
    assert set(found["metrics"]["1"]) == {"value_loss", "q_loss", "actor_loss"}


def test_the_table_has_a_row_per_file(capsys):
    pytest.importorskip("torch")
    names = ["iql_f64.npz", "td3_bc.npz"]
    assert main([*(str(FOLDER / name) for name in names), "--backend", "torch", "--table"]) == 0
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[:3] for row in rows] == [["iql_f64.npz", "torch", "float64"], ["td3_bc.npz", "torch", "float32"]]
    assert all(0 < float(row[3].split()[0]) < 0.1 and float(row[4].split()[0]) < 1 and row[5] == "0" for row in rows)
    assert main([*(str(FOLDER / name) for name in names), "--json"]) == 2
    assert main([str(FOLDER / names[0]), "--json", "--table"]) == 2
    assert "give one of them" in capsys.readouterr().err


def test_a_bad_file_does_not_end_the_command(tmp_path, capsys):
    pytest.importorskip("torch")
    (tmp_path / "bad.npz").write_bytes(b"PK")
    with np.load(FOLDER / "iql_f64.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["metrics/1/q_loss"] = np.array(0.0)
    np.savez(tmp_path / "off.npz", **arrays)
    good, off, bad = FOLDER / "iql_f64.npz", tmp_path / "off.npz", tmp_path / "bad.npz"
    assert main([str(path) for path in (bad, off, good)]) == 2
    found = capsys.readouterr()
    assert found.err.splitlines() == [
        f"pogo-golden: golden file {bad} is not a readable .npz of plain arrays; record it again."
    ]
    assert [line.split(",")[0] for line in found.out.splitlines() if " on torch" in line] == [
        "off.npz on torch",
        "iql_f64.npz on torch",
    ]
    assert main([str(off), str(good)]) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algorithm": "unheard_of"}, "is of unheard_of"),
        ({"hyperparameters": {"novelty": 1}}, "hyperparameter novelty=1 is unknown"),
    ],
)
def test_unknown_recordings_are_refused(tmp_path, capsys, change, message):
    with np.load(FOLDER / "iql.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["meta"] = np.array(json.dumps(json.loads(str(arrays["meta"])) | change))
    np.savez(tmp_path / "odd.npz", **arrays)
    assert main([str(tmp_path / "odd.npz"), "--backend", "torch"]) == 2
    assert message in capsys.readouterr().err


def test_a_nan_is_a_failure():
    pytest.importorskip("torch")
    comparison = rerun(Recording(FOLDER / "iql_f64.npz"), "torch")
    broken = dataclasses.replace(comparison, metrics={1: {"q_loss": (float("nan"), 1.0)}})
    assert broken.failures()
