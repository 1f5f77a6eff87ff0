"""The kit on exporters: a fine one passes, and every way of being broken is found."""

import re
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from msgspec.structs import replace

from edgeprep.interfaces import Backend, Device, Exporter, Model, Runner
from edgeprep.testing import ConformanceError, check_exporter, small_source


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return small_source(tmp_path_factory.mktemp("scratch"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fine(Exporter):
    """Writes the one word that its backend reads. Each class below breaks one rule of it."""

    name: ClassVar[str] = "echo"
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)

    word: str = "right"

    def export(self, source, precision):
        return Model(format="echo", files={"word": self.word.encode()})


class TorchRunner(Runner):
    """Answers as torch does, but for what the word in the file says."""

    inputs = outputs = ()

    def __init__(self, source, word):
        self.source, self.word = source, word
        self.inputs = (replace(source.input, name="x" if word == "renamed" else "image"),)
        self.outputs = source.outputs[::-1] if word == "swapped" else source.outputs

    def run(self, inputs):
        if self.word == "fails":
            raise RuntimeError("no such operator")
        with torch.no_grad():
            scores, heat = self.source.deployed(torch.from_numpy(inputs[0]))
        return (scores.numpy() * (1.01 if self.word == "scaled" else 1.0), heat.numpy())

    def close(self):
        pass


class TorchBackend(Backend):
    name = "torch"
    formats = ("echo",)

    def __init__(self, source):
        self.source = source

    def devices(self):
        return (Device(name="cpu", kind="cpu"),)

    def options(self, device, precision):
        return ({},)

    def versions(self):
        return {}

    def load(self, model, device, options):
        return TorchRunner(self.source, model.files["word"].decode())


@dataclass(frozen=True, kw_only=True)
class Fails(Fine):
    def export(self, source, precision):
        raise RuntimeError("cannot write")


@dataclass(frozen=True, kw_only=True)
class WritesAnotherFormat(Fine):
    def export(self, source, precision):
        return Model(format="other", files={"word": b"right"})


@dataclass(frozen=True, kw_only=True)
class WritesNothing(Fine):
    def export(self, source, precision):
        return Model(format="echo", files={})


@dataclass(frozen=True, kw_only=True)
class WritesText(Fine):
    def export(self, source, precision):
        return Model(format="echo", files={"word": "right"})


@dataclass(frozen=True, kw_only=True)
class CountsItsFiles(Fine):
    count: ClassVar[list[int]] = []

    def export(self, source, precision):
        self.count.append(1)
        return Model(format="echo", files={"word": b"right", "log": b"1" * len(self.count)})


FAULTS = {
    Fails(): "must write the source, got RuntimeError: cannot write",
    WritesAnotherFormat(): "the model's format must be its name, got 'other'",
    WritesNothing(): "must give its files as bytes, got []",
    WritesText(): "must give its files as bytes, got ['word']",
    CountsItsFiles(): "must give the same bytes for the same source, got others in ['log']",
    Fine(word="fails"): "'torch' must run it, got RuntimeError: no such operator",
    Fine(word="renamed"): (
        "its inputs must be (TensorSpec(name='image', shape=(1, 21, 17, 3), dtype='uint8'),), "
        "got (TensorSpec(name='x', shape=(1, 21, 17, 3), dtype='uint8'),)"
    ),
    Fine(word="swapped"): (
        "its outputs must be (TensorSpec(name='scores', shape=(1, 5), dtype='float32'), "
        "TensorSpec(name='heat', shape=(1, 2, 8, 6), dtype='float32')), "
        "got (TensorSpec(name='heat', shape=(1, 2, 8, 6), dtype='float32'), "
        "TensorSpec(name='scores', shape=(1, 5), dtype='float32'))"
    ),
    Fine(word="scaled"): "must agree with torch to 0.0001, got 0.01",
}


@pytest.mark.parametrize("exporter", FAULTS, ids=str)
def test_a_broken_exporter_is_found(exporter, source):
    message = f"exporter 'echo' in fp32: {FAULTS[exporter]}"
    with pytest.raises(ConformanceError, match=f"^{re.escape(message)}$"):
        check_exporter(exporter, TorchBackend(source), source)


def test_the_exporter_that_they_are_made_from_is_fine(source):
    check_exporter(Fine(), TorchBackend(source), source)
    check_exporter(Fine(), TorchBackend(source))  # on a source of the kit's own, which is the same


def test_a_field_that_a_recipe_cannot_give_is_found(source):
    @dataclass(frozen=True)
    class TakesBytes(Fine):
        key: bytes = b""

    with pytest.raises(
        ConformanceError,
        match=r"^exporter class 'TakesBytes': every field must be a key of a recipe; "
        r"TakesBytes.key: no table can hold its type, got BytesType$",
    ):
        check_exporter(TakesBytes(), TorchBackend(source), source)


def test_what_is_not_installed_cannot_be_checked(source):
    @dataclass(frozen=True)
    class Needs(Fine):
        requires: ClassVar[tuple[str, ...]] = ("json", "no_such_engine")

    with pytest.raises(
        ConformanceError,
        match=r"^exporter 'echo': must be checked where all that it requires is installed, "
        r"got none of no_such_engine$",
    ):
        check_exporter(Needs(), TorchBackend(source), source)


def test_a_precision_that_it_lacks_cannot_be_checked(source):
    with pytest.raises(
        ConformanceError, match=r"^exporter 'echo': must offer fp16, int8, got \('fp32',\)$"
    ):
        check_exporter(Fine(), TorchBackend(source), source, precisions=("fp32", "int8", "fp16"))


def test_a_backend_of_another_format_is_refused(source):
    class Other(TorchBackend):
        formats = ("other",)

    with pytest.raises(
        ConformanceError, match=r"^exporter 'echo': 'torch' must run its format, got one for other$"
    ):
        check_exporter(Fine(), Other(source), source)
