"""What holds for every test of the house."""

import sys
from collections.abc import Iterator

import pytest

# Some tests import openvino without its plugin, which keeps telemetry from being sent.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test finds what the user, or a run before this one, has measured or trained."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEPREP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def in_this_process() -> Iterator[None]:
    """Engines are tried in this process, where no test is about others: each would take a start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEPREP_ISOLATE", "0")
        yield
