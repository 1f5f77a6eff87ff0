"""int8 files resize pictures in uint8: the same within rounding, and only where it is that."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgeprep.conversion.parity import measure_parity
from edgeprep.conversion.source import NetworkSource
from edgeprep.interfaces import Model, Runner, Stage
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.gamma import Gamma
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.resize import Resize
from edgeprep.stages.sharpen import Sharpen
from edgeprep.tasks.tensors import Tensors
from edgeprep.tensors import ImageSpec
from edgeprep_tflite import TFLiteExporter
from edgeprep_tflite._resize import resize_levels

pytestmark = pytest.mark.filterwarnings(
    # torch.export copies tree specs the way that torch itself has deprecated.
    "ignore:.isinstance.treespec, LeafSpec:FutureWarning",
)

MakeSource = Callable[..., NetworkSource]

HEIGHT, WIDTH = 97, 61
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PLAIN = Resize(size=(16, 16), antialias=False)
END = (Normalize(mean=MEAN, std=STD), Layout(to="nchw"))


@pytest.fixture
def source_of(network: object, tmp_path: object) -> Callable[..., NetworkSource]:
    def make(*stages: Stage) -> NetworkSource:
        chain = Chain(input=ImageSpec(height=HEIGHT, width=WIDTH), stages=(*stages, *END))
        return NetworkSource(network, chain, noise(16), scratch=tmp_path)

    return make


def noise(count: int) -> np.ndarray:
    generator = np.random.default_rng(7)
    return generator.integers(0, 256, (count, HEIGHT, WIDTH, 3), dtype=np.uint8)


def order(model: Model) -> list[str]:
    """The casts and resizes of a file, in order, each with the type that it takes."""
    file = schema.ModelT.InitFromPackedBuf(model.files["model.tflite"], 0)
    names = {code: name for name, code in vars(schema.BuiltinOperator).items()}
    types = {code: name for name, code in vars(schema.TensorType).items()}
    graph = file.subgraphs[0]
    found = [
        (names[file.operatorCodes[operator.opcodeIndex].builtinCode], operator.inputs[0])
        for operator in graph.operators
    ]
    return [
        f"{name} {types[graph.tensors[index].type]}"
        for name, index in found
        if name in ("CAST", "RESIZE_BILINEAR")
    ]


def resized(model: Model, pictures: np.ndarray) -> np.ndarray:
    """What leaves the last of the cast and the resize, for each picture."""
    content = model.files["model.tflite"]
    file = schema.ModelT.InitFromPackedBuf(content, 0)
    kinds = (schema.BuiltinOperator.CAST, schema.BuiltinOperator.RESIZE_BILINEAR)
    last = [
        operator.outputs[0]
        for operator in file.subgraphs[0].operators
        if file.operatorCodes[operator.opcodeIndex].builtinCode in kinds
    ][-1]
    interpreter = Interpreter(
        model_content=content, num_threads=1, experimental_preserve_all_tensors=True
    )
    interpreter.allocate_tensors()
    answers = []
    for picture in pictures:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture[np.newaxis])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(last)[0])
    return np.stack(answers)


def test_int8_resizes_in_uint8_and_float_does_not(source_of: MakeSource) -> None:
    source = source_of(PLAIN)
    found = {kind: order(TFLiteExporter().export(source, kind)) for kind in ("fp32", "int8")}
    assert found["fp32"] == ["CAST UINT8", "RESIZE_BILINEAR FLOAT32"]
    assert found["int8"] == ["RESIZE_BILINEAR UINT8", "CAST UINT8"]


@pytest.mark.filterwarnings("ignore:Warning. Enabling `experimental_preserve_all:UserWarning")
def test_it_is_within_the_rounding_of_the_resize_in_float(
    source_of: MakeSource, load: Callable[[Model], Runner]
) -> None:
    source = source_of(PLAIN)
    rounded, exact = (TFLiteExporter().export(source, kind) for kind in ("int8", "fp32"))
    differences = np.abs(resized(rounded, noise(3)) - resized(exact, noise(3)))
    # Rounding alone would be half a level; LiteRT's weights have 10 or 11 bits. It does round.
    assert 0.4 < differences.max() <= 0.55
    expected = [source.run(picture[np.newaxis]) for picture in noise(3)]
    inputs = [(picture[np.newaxis],) for picture in noise(3)]
    measure_parity("tflite-int8", load(rounded), "int8", inputs, expected, Tensors())


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        pytest.param((Color(to="bgr"), PLAIN), ["RESIZE_BILINEAR UINT8", "CAST UINT8"], id="swap"),
        pytest.param(
            (Gamma(exponent=2.0), PLAIN), ["CAST UINT8", "RESIZE_BILINEAR FLOAT32"], id="float"
        ),
        pytest.param((Resize(size=(16, 16)),), ["CAST UINT8"], id="antialiased"),
        pytest.param(
            (PLAIN, Sharpen(amount=10.0)), ["CAST UINT8", "RESIZE_BILINEAR FLOAT32"], id="sharpened"
        ),
        pytest.param(
            (PLAIN, Gamma(exponent=2.0)), ["CAST UINT8", "RESIZE_BILINEAR FLOAT32"], id="light"
        ),
        pytest.param(
            (PLAIN, Color(to="bgr")), ["RESIZE_BILINEAR UINT8", "CAST UINT8"], id="swapped after"
        ),
    ],
)
def test_what_is_float_before_its_resize_stays_so(
    source_of: MakeSource, stages: tuple[Stage, ...], expected: list[str]
) -> None:
    assert order(TFLiteExporter().export(source_of(*stages), "int8")) == expected


def test_a_file_without_such_a_resize_is_not_written_anew(
    models: Mapping[str, Model],
) -> None:
    content = models["int8"].files["model.tflite"]
    assert resize_levels(content) is content
