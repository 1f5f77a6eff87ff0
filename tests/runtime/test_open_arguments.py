"""What `edgeprep.open` is given beside a bundle is checked before anything is read."""

import re
from typing import Any

import numpy as np
import pytest

import edgeprep
from edgeprep.errors import EdgePrepError, InputError, PluginError

ARRAY = np.array([1, 2])


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"strict": "no"}, InputError, "strict: must be True or False, got 'no'"),
        ({"strict": ARRAY}, InputError, "strict: must be True or False, got array([1, 2])"),
        ({"probe": None}, InputError, "probe: must be True or False, got None"),
        ({"probe": 1}, InputError, "probe: must be True or False, got 1"),
        ({"seconds": "x"}, InputError, "seconds: must be a finite number from 0, got 'x'"),
        ({"seconds": -1}, InputError, "seconds: must be a finite number from 0, got -1"),
        ({"seconds": True}, InputError, "seconds: must be a finite number from 0, got True"),
        (
            {"seconds": float("nan")},
            InputError,
            "seconds: must be a finite number from 0, got nan",
        ),
        (
            {"goal": ARRAY},
            InputError,
            "goal: must be one of ['latency', 'throughput', 'memory'], got array([1, 2])",
        ),
        ({"on_event": "log"}, InputError, "on_event: must be called with an event, got 'log'"),
        (
            {"registry": 0},
            PluginError,
            "registry: must be an edgeprep.registry.Registry, got 0",
        ),
        ({"plugins": 0}, PluginError, "plugins: must be a list of names, got 0"),
        ({"plugins": b"x"}, PluginError, "plugins: must be a list of names, got b'x'"),
        ({"plugins": [1]}, PluginError, "plugins: must be a list of names, got [1]"),
    ],
    ids=str,
)
def test_an_argument_that_cannot_be_used_is_named(
    arguments: dict[str, Any], kind: type[EdgePrepError], message: str
) -> None:
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        edgeprep.open("there-is-none.edgeprep", **arguments)
