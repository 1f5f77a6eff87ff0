"""What is common to those who hand on what sessions count."""

import builtins
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from edgeprep.errors import BackendUnavailable, InputError
from edgeprep.monitor.opentelemetry import observe
from edgeprep.monitor.prometheus import collector, register, text


@pytest.mark.parametrize(
    ("use", "name"),
    [(collector, "collector"), (text, "collector"), (register, "register"), (observe, "observe")],
)
@pytest.mark.parametrize("foreign", [3, None])
def test_what_is_no_session_is_refused_at_once(
    counted: Any, use: Any, name: str, foreign: Any
) -> None:
    message = rf"^{name}: sessions\[1\] must be a session, got {foreign}$"
    with pytest.raises(InputError, match=message):
        use(counted(), foreign)


@pytest.mark.parametrize(
    ("use", "name"),
    [(collector, "collector"), (text, "collector"), (register, "register"), (observe, "observe")],
)
def test_without_sessions_there_is_nothing_to_hand_on(use: Any, name: str) -> None:
    with pytest.raises(InputError, match=f"^{name}: must be given sessions, got none$"):
        use()


def test_what_is_no_registry_and_no_provider_is_refused(counted: Any) -> None:
    message = "^registry: must be a CollectorRegistry of prometheus_client, got 5$"
    with pytest.raises(InputError, match=message):
        register(counted(), registry=5)  # type: ignore[arg-type]
    message = "^provider: must be a MeterProvider of opentelemetry, got 5$"
    with pytest.raises(InputError, match=message):
        observe(counted(), provider=5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("use", "module", "message"),
    [
        (
            collector,
            "prometheus_client",
            (
                "Prometheus needs prometheus_client, which is not installed; "
                "pip install edgeprep[prometheus]"
            ),
        ),
        (
            observe,
            "opentelemetry",
            (
                "OpenTelemetry needs opentelemetry, which is not installed; "
                "pip install edgeprep[opentelemetry]"
            ),
        ),
    ],
    ids=["prometheus", "opentelemetry"],
)
def test_where_the_library_is_absent_it_says_what_to_install(
    counted: Any, monkeypatch: pytest.MonkeyPatch, use: Any, module: str, message: str
) -> None:
    for name in [*sys.modules]:
        if name.partition(".")[0] == module or name.startswith("edgeprep.monitor._"):
            monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def absent(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == module:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(BackendUnavailable, match=f"^{re.escape(message)}$"):
        use(counted())


def test_what_the_extras_need_is_what_is_imported() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert [need.partition(">=")[0] for need in extras["prometheus"]] == ["prometheus_client"]
    assert [need.partition(">=")[0] for need in extras["opentelemetry"]] == ["opentelemetry-sdk"]
