"""The kit on tasks: the built-ins pass, and every way of being broken is found."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from edgeprep.errors import RecipeError, ShapeError
from edgeprep.geometry import Frame
from edgeprep.interfaces import Blending, Compared, Task, Tiling
from edgeprep.marks import Overlay
from edgeprep.registry import Registry
from edgeprep.tasks.classify import Classify
from edgeprep.tasks.depth import Depth
from edgeprep.tasks.detect import Detect
from edgeprep.tasks.embed import Embed
from edgeprep.tasks.multilabel import MultiLabel
from edgeprep.tasks.restore import Restore
from edgeprep.tasks.segment import Segment
from edgeprep.tasks.tensors import Tensors
from edgeprep.tasks.video_classify import VideoClassify
from edgeprep.testing import ConformanceError, check_task

SCORES = {"scores": np.array([[0.1, 2.0, -1.0]], np.float32)}
OTHERS = {"scores": np.array([[3.0, 0.0, 0.5]], np.float32)}
BOXES = {
    "boxes": np.array([[[1, 2, 9, 9], [3, 3, 30, 40]]], np.float32),
    "scores": np.array([[[0.1, 2.0], [-1.0, 3.0]]], np.float32),
}
MAPS = {"maps": np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4) % 7}
HEAT = {**SCORES, "heat": np.arange(6, dtype=np.float32).reshape(1, 2, 3)}
HEAT_ALONE = {"heat": HEAT["heat"]}

BUILT_INS = [
    (Classify(labels=("a", "b", "c")), SCORES),
    (Classify(labels=("a", "b", "c"), top=2, scores="sigmoid"), SCORES),
    (Classify(labels=("a", "b", "c"), top=1, scores="none"), SCORES),
    (Tensors(), HEAT),
    (VideoClassify(labels=("a", "b", "c")), SCORES),
    (Detect(labels=("a", "b")), BOXES),
    (Segment(labels=("a", "b")), MAPS),
    (MultiLabel(labels=("a", "b", "c")), SCORES),
    (Embed(), SCORES),
    (Depth(), HEAT_ALONE),
]


PICTURE = {"picture": HEAT["heat"][:, None]}


@pytest.mark.parametrize(("task", "outputs"), BUILT_INS, ids=str)
def test_built_in_tasks_conform(task, outputs):
    check_task(task, outputs)


@pytest.mark.parametrize("overlap", [None, 1])
def test_a_task_that_needs_outputs_of_the_pictures_size_conforms(overlap):
    check_task(Restore(overlap=overlap), PICTURE, frame=Frame.whole(2, 3))


def test_every_built_in_task_is_checked():
    assert {type(task) for task, _ in BUILT_INS} | {Restore} == {
        *Registry(installed=False).classes("task")
    }


@dataclass(frozen=True)
class Answer:
    largest: float

    def to_json(self):
        return {"largest": self.largest}


@dataclass(frozen=True, kw_only=True)
class Fine(Task):
    """The largest number of each picture. Each class below breaks one rule of it."""

    name: ClassVar[str] = "broken"
    metrics: ClassVar[tuple[str, ...]] = ()

    def check_outputs(self, outputs):
        if len(outputs) != 1:
            raise RecipeError("task: 'broken' needs one output")

    def decode(self, outputs, frame=None):
        return Answer(float(outputs[0].max()))


@dataclass(frozen=True, kw_only=True)
class Unequal(Fine):
    __eq__ = object.__eq__
    __hash__ = object.__hash__


@dataclass(frozen=True, kw_only=True)
class RefusesAll(Fine):
    def check_outputs(self, outputs):
        raise RecipeError("task: 'broken' needs other outputs")


@dataclass(frozen=True, kw_only=True)
class AcceptsAll(Fine):
    def check_outputs(self, outputs):
        pass


@dataclass(frozen=True, kw_only=True)
class RefusesByAnotherError(Fine):
    def check_outputs(self, outputs):
        outputs[0].shape.index(1)


@dataclass(frozen=True, kw_only=True)
class ComparesTheFirst(Fine):
    def compared(self, outputs):
        return (Compared(output=0, values=outputs[0][:, :1]),)


@dataclass(frozen=True, kw_only=True)
class IsLessThanUndecided(Fine):
    def decided(self, outputs):
        return -1.0


@dataclass(frozen=True, kw_only=True)
class SortsInPlace(Fine):
    def decode(self, outputs, frame=None):
        outputs[0].sort(axis=1)
        return super().decode(outputs)


_SEEN = []


@dataclass(frozen=True, kw_only=True)
class Remembers(Fine):
    def decode(self, outputs, frame=None):
        _SEEN.append(float(outputs[0].max()))
        return Answer(max(_SEEN))


@dataclass(frozen=True, kw_only=True)
class GivesNumbers(Fine):
    def decode(self, outputs, frame=None):
        return float(outputs[0].max())


@dataclass(frozen=True, kw_only=True)
class GivesNumpy(Fine):
    def decode(self, outputs, frame=None):
        return Answer(outputs[0].max())


class Plain(Answer):
    def to_json(self):
        return [self.largest]


@dataclass(frozen=True, kw_only=True)
class GivesNoMapping(Fine):
    def decode(self, outputs, frame=None):
        return Plain(float(outputs[0].max()))


@dataclass
class Thawed:
    largest: float

    to_json = Answer.to_json


@dataclass(frozen=True, kw_only=True)
class GivesWhatChanges(Fine):
    def decode(self, outputs, frame=None):
        return Thawed(float(outputs[0].max()))


@dataclass(frozen=True, kw_only=True)
class NoSuchMetric(Fine):
    metrics: ClassVar[tuple[str, ...]] = ("top-5", "accuracy", "no-such-metric")


@dataclass(frozen=True, kw_only=True)
class NoSuchTruth(Fine):
    truth: ClassVar[str] = "outline"


@dataclass(frozen=True, kw_only=True)
class NoObjective(Fine):
    objective: ClassVar[str] = "nowhere:Nothing"


@dataclass(frozen=True, kw_only=True)
class AnotherObjective(Fine):
    objective: ClassVar[str] = "json:JSONDecoder"


@dataclass(frozen=True, kw_only=True)
class HalfAnObjective(Fine):
    objective: ClassVar[str] = "json"


@dataclass(frozen=True, kw_only=True)
class Placed(Fine):
    """It is fine, too: the place of the largest number."""

    spatial: ClassVar[bool] = True

    def decode(self, outputs, frame=None):
        if frame is None:
            raise ShapeError("frame: task 'broken' must have one, got None")
        place = frame.back[0].points([float(outputs[0].argmax()), 0.0])
        return Answer(place.tolist())


@dataclass(frozen=True, kw_only=True)
class IgnoresFrame(Placed):
    def decode(self, outputs, frame=None):
        if frame is None:
            return super().decode(outputs)
        return Answer(float(outputs[0].max()))


@dataclass(frozen=True, kw_only=True)
class IgnoresTurns(Placed):
    def decode(self, outputs, frame=None):
        if frame is not None:
            frame = Frame.whole(frame.height, 64) if frame.back[0].x[0] == 0.0 else frame
        return super().decode(outputs, frame)


@dataclass(frozen=True, kw_only=True)
class NeedsNoFrame(Placed):
    def decode(self, outputs, frame=None):
        return super().decode(outputs, frame or Frame.whole(1, 1))


@dataclass(frozen=True)
class Drawn(Answer):
    drawn: tuple = ()

    def marks(self):
        return self.drawn


@dataclass(frozen=True, kw_only=True)
class DrawsWords(Fine):
    def decode(self, outputs, frame=None):
        return Drawn(1.0, ("words",))


@dataclass(frozen=True, kw_only=True)
class DrawsAnotherSize(Placed):
    def decode(self, outputs, frame=None):
        overlay = Overlay(np.zeros((5, 5, 3), np.uint8), np.zeros((5, 5), np.bool_))
        return Drawn(super().decode(outputs, frame).largest, (overlay,))


@dataclass(frozen=True, kw_only=True)
class TilesOfNumbers(Fine):
    @property
    def tiling(self):
        return Tiling(overlap=0, scale=1, levels=lambda maps: maps, result=Answer)


TO_JSON = "a result must have a to_json() that gives what JSON can hold"


@dataclass(frozen=True, kw_only=True)
class Joined(Fine):
    """Its results can be joined."""

    kind: str = "values"

    @property
    def blending(self):
        return Blending(kind=self.kind, same={}, take=self._taken, give=self._given)

    def _taken(self, result):
        return (np.array([result.largest]),)

    def _given(self, arrays):
        return Answer(float(arrays[0][0]))


@dataclass(frozen=True, kw_only=True)
class JoinsNumbers(Joined):
    def _given(self, arrays):
        return float(arrays[0][0])


@dataclass(frozen=True, kw_only=True)
class CannotBeTakenApart(Joined):
    def _taken(self, result):
        return (result.scores,)


@dataclass(frozen=True, kw_only=True)
class JoinsAnotherKind(Joined):
    kind: str = "words"


BROKEN = {
    IsLessThanUndecided: "decided() must give None, or a number from 0, got -1.0",
    ComparesTheFirst: "compared() must give all numbers of output 'scores', 3, got 1",
    JoinsNumbers: "its blending must give results like decode(), of 'Answer', got 'float'",
    CannotBeTakenApart: (
        "its blending must take a result apart and make it again, got AttributeError: 'Answer' "
        "object has no attribute 'scores'"
    ),
    JoinsAnotherKind: (
        "kind of its blending must be among 'class', 'classes', 'pixels', 'values', "
        "'vectors', 'boxes', got 'words'"
    ),
    RefusesAll: (
        "check_outputs() must accept what is decoded here, "
        "got edgeprep.errors.RecipeError: task: 'broken' needs other outputs"
    ),
    AcceptsAll: (
        "check_outputs() of a network without outputs must raise RecipeError, got no error"
    ),
    RefusesByAnotherError: (
        "check_outputs() of a network without outputs must raise RecipeError, "
        "got IndexError: tuple index out of range"
    ),
    SortsInPlace: (
        "decode() must work on outputs that are read-only, got ValueError: sort array is read-only"
    ),
    Remembers: (
        "decode() must give the same for the same outputs, got another result after other pictures"
    ),
    GivesNumbers: (f"{TO_JSON}, got AttributeError: 'float' object has no attribute 'to_json'"),
    GivesNumpy: f"{TO_JSON}, got TypeError: Object of type float32 is not JSON serializable",
    GivesNoMapping: "to_json() of a result must give a mapping, got [2.0]",
    GivesWhatChanges: "a result must be frozen, got one whose 'largest' changed",
    NoSuchTruth: (
        "truth must be among None, 'class', 'classes', 'boxes', 'mask', 'picture', 'map', "
        "got 'outline'"
    ),
    NoObjective: (
        "objective must be 'module:Class' of an Objective, "
        "got ModuleNotFoundError: No module named 'nowhere'"
    ),
    AnotherObjective: (
        "objective must be 'module:Class' of an Objective, got 'json:JSONDecoder', "
        "which is <class 'json.decoder.JSONDecoder'>"
    ),
    HalfAnObjective: "objective must be 'module:Class' of an Objective, got 'json'",
    IgnoresFrame: (
        "results must lie in the picture that came in, got the same for one that is larger and "
        "has a border"
    ),
    IgnoresTurns: (
        "results must lie in the picture that came in, got the same for one that is turned by a "
        "quarter"
    ),
    NeedsNoFrame: (
        "decode() without a frame must raise ShapeError, as the task is spatial, got no error"
    ),
    DrawsWords: "marks() of a result must give marks, got 'str'",
    DrawsAnotherSize: (
        "an overlay must have the size of its picture, (48, 64), got ((5, 5, 3), (5, 5))"
    ),
    TilesOfNumbers: (
        "levels() of its tiling must give uint8 (H, W, C) of maps (C, H, W), got float32 (1, 2, 3) "
        "of (1, 2, 3)"
    ),
}


@pytest.mark.parametrize("cls", BROKEN, ids=lambda cls: cls.__name__)
def test_a_broken_task_is_found(cls):
    with pytest.raises(ConformanceError) as caught:  # noqa: PT011 -- the whole message is compared
        check_task(cls(), *((PICTURE,) if cls is TilesOfNumbers else (SCORES, OTHERS)))
    assert str(caught.value) == f"task 'broken': {BROKEN[cls]}"


def test_a_metric_that_is_not_there_is_found():
    with pytest.raises(
        ConformanceError,
        match=r"^task 'broken': metrics must be among 'accuracy', .*, got 'no-such-metric'$",
    ):
        check_task(NoSuchMetric(), SCORES)


def test_a_task_that_does_not_equal_itself_read_back_is_found():
    with pytest.raises(
        ConformanceError,
        match=r"^task 'broken': must equal what its own fields build, got Unequal\(\)$",
    ):
        check_task(Unequal(), SCORES)


def test_the_task_that_they_are_made_from_is_fine():
    check_task(Fine(), SCORES)
    check_task(Placed(), SCORES)
    check_task(Joined(), SCORES)


def test_numbers_that_json_cannot_hold_are_found():
    with pytest.raises(
        ConformanceError,
        match=r"^task 'broken': a result must have a to_json\(\) that gives what JSON can hold, "
        # Newer Pythons add which value.
        r"got ValueError: Out of range float values are not JSON compliant.*$",
    ):
        check_task(Fine(), {"scores": np.full((1, 2), np.nan, np.float32)})


def test_a_class_instead_of_an_instance_is_refused():
    with pytest.raises(
        ConformanceError,
        match=r"^task class 'Fine': must be checked by an instance, got the class; "
        r"construct it: Fine\(…\)$",
    ):
        check_task(Fine, SCORES)
