"""The one warning that gymnasium's own models bring about is left out, and no other."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pogo.core.environments.make import environment_spec
from pogo.core.environments.mujoco_warnings import without_known_warnings
from pogo.core.environments.simulators import make_simulators

mujoco: Any = pytest.importorskip("mujoco")
BALL = "<mujoco><worldbody><body><freejoint/><geom size='1'/></body></worldbody></mujoco>"
ENTRY_POINT = "gymnasium.envs.mujoco.half_cheetah_v5:HalfCheetahEnv"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log where the process is
    yield
    mujoco.set_mju_user_warning(None)


def explode() -> None:
    """A step that MuJoCo warns of."""
    model = mujoco.MjModel.from_xml_string(BALL)
    data = mujoco.MjData(model)
    data.qpos[:] = math.nan
    mujoco.mj_step(model, data)


@pytest.mark.parametrize("processes", [0, 1])
def test_half_cheetah_is_made_in_silence(capfd: pytest.CaptureFixture[str], tmp_path: Path, processes: int) -> None:
    simulators = make_simulators(environment_spec("HalfCheetah-v5"), 2, 2, processes)
    simulators.reset([1, 2])
    simulators.close()
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_other_warnings_are_as_mujocos_own(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    explode()
    own = capfd.readouterr().err
    assert own.startswith("WARNING: Nan, Inf or huge value in QPOS")
    with without_known_warnings(ENTRY_POINT):
        explode()
    assert capfd.readouterr().err == own
    explode()
    assert capfd.readouterr().err == own
    assert (tmp_path / "MUJOCO_LOG.TXT").read_text().count("Nan, Inf or huge value in QPOS") == 3


def test_a_programs_own_handler_is_told_the_others_and_stays(capfd: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []
    mujoco.set_mju_user_warning(told.append)
    with without_known_warnings(ENTRY_POINT):
        environment_spec("HalfCheetah-v5")
        explode()
    explode()
    assert [message.split(" in ")[0] for message in told] == ["Nan, Inf or huge value"] * 2
    assert capfd.readouterr().err == ""
