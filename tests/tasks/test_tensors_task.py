import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.tasks.plugin import HOMES, edgeprep_tasks
from edgeprep.tasks.tensors import Tensors
from edgeprep.tensors import TensorSpec


def spec(*shape: int) -> TensorSpec:
    return TensorSpec(name="output", shape=shape, dtype="float32")


def test_outputs_come_without_their_first_axis() -> None:
    boxes, scores = np.arange(4.0).reshape(1, 1, 4), np.array([0.25])
    result = Tensors().decode((boxes, scores))
    assert result.to_json() == {"arrays": [[[0.0, 1.0, 2.0, 3.0]], 0.25]}


def test_any_outputs_with_a_frame_axis_are_accepted() -> None:
    Tensors().check_outputs((spec(1), spec(1, 3, 8, 8)))


@pytest.mark.parametrize(
    ("outputs", "shapes"),
    [((spec(1, 2), spec(5, 4)), "[(1, 2), (5, 4)]"), ((spec(),), "[()]"), ((), "[]")],
    ids=["no frame axis", "scalar", "none"],
)
def test_outputs_without_frames_are_refused(outputs: tuple[TensorSpec, ...], shapes: str) -> None:
    with pytest.raises(RecipeError, match=r"^task") as caught:
        Tensors().check_outputs(outputs)
    assert str(caught.value) == f"task: 'tensors' needs outputs with shapes (1, …), got {shapes}"


def test_the_hook_offers_the_built_in_tasks() -> None:
    assert [task.name for task in edgeprep_tasks()] == [*HOMES]
