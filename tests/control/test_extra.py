import os
import sys

import pytest

from lifelong.control import extra


@pytest.fixture(autouse=True)
def _headless(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere MuJoCo draws by the system's own library")
@pytest.mark.parametrize(("has_egl", "expected"), [(True, "egl"), (False, "disabled")])
def test_a_machine_without_a_display_draws_by_egl_or_not_at_all(
    has_egl: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extra, "_has_egl", lambda: has_egl)
    assert extra.imported("math", "Car").pi > 3
    assert os.environ["MUJOCO_GL"] == expected
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    extra.imported("math", "Car")
    assert os.environ["MUJOCO_GL"] == "osmesa"


def test_a_missing_package_is_one_line_with_the_extra() -> None:
    with pytest.raises(ValueError, match=r"Car needs the package no_such_package .*\.\[robot\]"):
        extra.imported("no_such_package", "Car")


def test_what_cannot_be_drawn_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert extra.drawn("Car", lambda: 3) == 3

    def fail() -> int:
        raise AttributeError("no eglQueryString")

    with pytest.raises(
        ValueError, match=r"Car cannot be drawn here .*no eglQueryString.* set MUJOCO_GL .*video: false"
    ):
        extra.drawn("Car", fail)
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    with pytest.raises(ValueError, match="no display and no EGL"):
        extra.drawn("Car", lambda: 3)
