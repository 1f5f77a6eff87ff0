"""What torch.onnx says though nobody can act on it, and what it says beside."""

import logging
import warnings
from collections.abc import Iterator

import pytest

from edgeprep.conversion.silence import without_known_warnings

REGISTRATION = logging.getLogger("torch.onnx._internal.exporter._registration")
KNOWN = "torchvision is not installed. Skipping torchvision::nms"
DEPRECATION = "`isinstance(treespec, LeafSpec)` is deprecated, use `isinstance(...)` instead."


def speak() -> None:
    REGISTRATION.warning(KNOWN)
    REGISTRATION.warning("something new")
    warnings.warn(DEPRECATION, FutureWarning, stacklevel=1)


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    # torch's loggers do not hand on to the root.
    REGISTRATION.addHandler(caplog.handler)
    yield caplog
    REGISTRATION.removeHandler(caplog.handler)


def test_only_what_is_known_is_held_back(heard: pytest.LogCaptureFixture) -> None:
    with without_known_warnings():
        speak()
    assert list(dict.fromkeys(heard.messages)) == ["something new"]
    with without_known_warnings(), pytest.warns(FutureWarning, match="^something else$"):
        warnings.warn("something else", FutureWarning, stacklevel=1)


def test_everything_comes_afterwards_and_where_libraries_may_speak(
    heard: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(KeyError, match="inside"), without_known_warnings():
        raise KeyError("inside")
    with pytest.warns(FutureWarning, match="LeafSpec"):
        speak()
    heard.clear()
    with (
        heard.at_level(logging.DEBUG, logger="edgeprep"),
        pytest.warns(FutureWarning, match="LeafSpec"),
        without_known_warnings(),
    ):
        speak()
    assert list(dict.fromkeys(heard.messages)) == [KNOWN, "something new"]
    assert not logging.getLogger("edgeprep").isEnabledFor(logging.DEBUG)
