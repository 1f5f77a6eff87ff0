"""The results of tasks, as applications name them."""

import subprocess
import sys
from typing import get_type_hints

import pytest

import edgeprep.tasks
from edgeprep.registry import Registry
from edgeprep.tasks import Detection, Detections, Label


@pytest.mark.parametrize(
    "task", Registry(installed=False).classes("task"), ids=lambda cls: cls.name
)
def test_what_every_task_gives_can_be_imported_from_one_place(task):
    result = get_type_hints(task.decode)["return"]
    assert getattr(edgeprep.tasks, result.__name__) is result
    assert result.__name__ in edgeprep.tasks.__all__


def test_nothing_else_is_there():
    given = {
        get_type_hints(cls.decode)["return"] for cls in Registry(installed=False).classes("task")
    }
    there = {getattr(edgeprep.tasks, name) for name in edgeprep.tasks.__all__}
    # Of which the others are made.
    assert there == {*given, Detection, Label}
    assert Detections in given
    with pytest.raises(AttributeError, match=r"^module 'edgeprep.tasks' has no attribute 'Boxes'$"):
        edgeprep.tasks.Boxes  # noqa: B018 -- asking is the test


def test_one_result_does_not_bring_all_tasks():
    script = "import sys; from edgeprep.tasks import Label; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "edgeprep.tasks.classify" in loaded
    assert "edgeprep.tasks.detect" not in loaded
