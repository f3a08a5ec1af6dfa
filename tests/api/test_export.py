"""`pogo-export`: files that act as pogo does, in a process that has no pogo, or none at all."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import pogo
from pogo.cli.export import main
from pogo.core.policies import export as exporting
from pogo.core.policies.export import FORMATS, TOLERANCE, export
from pogo.core.policies.stored import StoredNetworks
from tests.helpers.library_runs import KINDS

PACKAGES = {"onnx": "onnxscript", "torch": "torch", "stablehlo": "flax", "safetensors": "safetensors"}


def exported(run: pogo.Run, actor: int | str, format: str, folder: Path, deterministic: bool = True) -> float:
    pytest.importorskip(PACKAGES[format])
    policy = StoredNetworks.read(run.path).policy(actor)  # type: ignore[arg-type]
    done = export(policy, folder / f"policy.{format}", format, deterministic)
    assert done.size == sum(path.stat().st_size for path in folder.iterdir())
    return done.largest_difference


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_acts_as_its_policy_does(flow_run: pogo.Run, format: str, tmp_path: Path) -> None:
    assert exported(flow_run, "flow", format, tmp_path) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("actor", range(len(KINDS)))
@pytest.mark.parametrize("format", FORMATS)
def test_every_kind_has_every_format(
    chain_run: pogo.Run, format: str, actor: int, deterministic: bool, tmp_path: Path
) -> None:
    if KINDS[actor] == "deterministic" and not deterministic:
        with pytest.raises(pogo.BadInput, match="has no stochastic mode"):
            exported(chain_run, actor, format, tmp_path, deterministic)
    else:
        assert exported(chain_run, actor, format, tmp_path, deterministic) <= TOLERANCE


@pytest.mark.parametrize("actor", range(len(KINDS)))
def test_the_card_says_how_to_compute_every_kind(chain_run: pogo.Run, actor: int, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    from pogo.exported.act_safetensors import act

    policy = StoredNetworks.read(chain_run.path).policy(actor)
    observations = np.random.default_rng(0).standard_normal((20, 5)).astype(np.float32) * 50
    noise = np.random.default_rng(3).standard_normal((20, 2), dtype=np.float32)
    files = FORMATS["safetensors"].write(policy, {"observations": observations}, policy.describe())
    (tmp_path / "policy").write_bytes(files[""])
    card, arrays = json.loads(files[".json"]), load_file(tmp_path / "policy")
    assert (card["kind"], card["algorithm"], card["step"]) == (KINDS[actor], "iql", 30)
    ours = chain_run.policy(actor)
    np.testing.assert_allclose(act(arrays, card["architecture"], observations, None), ours(observations), atol=1e-5)
    drawn = ours(observations, deterministic=False, seed=3)
    np.testing.assert_allclose(act(arrays, card["architecture"], observations, noise), drawn, atol=1e-5)


def test_what_acts_differently_is_not_kept(
    flow_run: pogo.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exporting, "_act_without_pogo", lambda *_: np.full((1000, 2), 0.6))
    code = main([str(flow_run.path), "--actor", "0", "--format", "safetensors", "--out", str(tmp_path / "policy")])
    assert code == 1
    assert "policy is not written: its actions differ from pogo's by up to" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_loaded_again_is_not_kept(
    flow_run: pogo.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_WITHOUT_POGO", "raise SystemExit('no such operator')")
    with pytest.raises(pogo.RunFailed, match="cannot be loaded again without pogo: no such operator"):
        flow_run.policy(0).export(tmp_path / "policy", "safetensors")
    assert list(tmp_path.iterdir()) == []


def test_the_fresh_process_has_no_pogo(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import pogo\n")
    import subprocess

    command = [sys.executable, "-c", exporting._WITHOUT_POGO, str(tmp_path / "program.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError: import of pogo halted" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "onx"], "format=onx is unknown. Did you mean 'onnx'?"),
        (["--actor", "9"], "has actors 0 to 2, not 9"),
        (["--actor", "last"], "--actor last: use an actor's index, or flow."),
        (["--checkpoint", "3"], "has no checkpoint 3"),
        (["--out", "."], "exists"),
        (["--out", "nowhere/policy"], "there is no folder"),
    ],
)
def test_bad_options_are_one_line(
    flow_run: pogo.Run,
    options: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    defaults = {"--format": "safetensors", "--out": "policy", "--actor": "0"}
    given = defaults | dict(zip(options[::2], options[1::2], strict=True))
    code = main([str(flow_run.path.absolute()), *(text for option in given.items() for text in option)])
    error = capsys.readouterr().err
    assert (code, error.count("\n")) == (2, 1)
    assert message in error


def test_the_command_says_what_it_has_compared(
    flow_run: pogo.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([str(flow_run.path), "--actor", "0", "--format", "safetensors", "--out", str(tmp_path / "policy")])
    said = capsys.readouterr().out
    assert code == 0
    assert "actor 0 (stochastic) of step 5, safetensors" in said
    assert "Largest difference from pogo's actions:" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["policy", "policy.json"]
