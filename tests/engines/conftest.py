"""The zoo's bundle, converted once for all tests of the real engines."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.conversion import Result, convert
from edgeprep.data import load_factory
from edgeprep_openvino._signals import kept_signal_stack

ZOO = Path(__file__).parents[2] / "model_zoo" / "digits-mobilenet"


@pytest.fixture(scope="session")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return convert(ZOO / "recipe.toml", tmp_path_factory.mktemp("zoo") / "digits.edgeprep")


@pytest.fixture(scope="session")
def pictures() -> list[tuple[NDArray[np.uint8], int]]:
    """Held-out digits on held-out photographs, of many sizes, with their labels."""
    evaluation: Callable[..., object] = load_factory("data:evaluation", ZOO, "data.evaluation")
    samples = evaluation()
    return [sample for sample, _ in zip(samples, range(64), strict=False)]  # type: ignore[call-overload]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPREP_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def _signal_stack() -> Iterator[None]:
    """Cores of OpenVINO that go in another order than they came leave signals without a stack."""
    with kept_signal_stack():
        yield
