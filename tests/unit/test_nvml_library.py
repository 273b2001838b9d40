"""The stand-in of NVML where nothing compiles C: a reason to skip, and a failure in CI."""

from __future__ import annotations

import pytest
from standins import nvml_library


@pytest.mark.parametrize(("ci", "outcome"), [(None, pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_without_a_compiler_its_tests_are_skipped_but_fail_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str | None, outcome: type[BaseException]
) -> None:
    monkeypatch.setattr(nvml_library.shutil, "which", lambda _: None)
    monkeypatch.setattr(nvml_library.sys, "platform", "linux")
    if ci is None:
        monkeypatch.delenv("CI", raising=False)
    else:
        monkeypatch.setenv("CI", ci)

    with pytest.raises(outcome, match="no C compiler"):
        nvml_library.compiler()
