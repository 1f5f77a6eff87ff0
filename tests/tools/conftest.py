from importlib import import_module
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def environment(monkeypatch):
    """The module tools/environment.py."""
    monkeypatch.syspath_prepend(str(TOOLS))
    return import_module("environment")
