"""The workbench of the conformance kit, for passes to be tried on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from edgeprep.testing._workbench import SmallWorkbench


@pytest.fixture
def workbench(tmp_path: Path) -> Callable[..., SmallWorkbench]:
    """`workbench(network)`: see `SmallWorkbench` for what else it takes."""

    def make(network: torch.nn.Module, **options: Any) -> SmallWorkbench:
        return SmallWorkbench(came=network, directory=tmp_path, **options)

    return make
