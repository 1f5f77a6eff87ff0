"""A quotient is the nearest float32, whatever an engine makes of a division."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from edgeprep.interfaces import Stage
from edgeprep.stages.chain import Chain
from edgeprep.stages.formulas.division import exact_quotient
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.tensors import ImageSpec

F32 = np.float32


@dataclass(frozen=True, kw_only=True)
class Share(Stage):
    """255 over a number whose digits of 256 are the channels."""

    name: ClassVar[str] = "share"

    exact: bool

    def output(self, image):
        return image.replace(color="grey", dtype="float32", range="normalized")

    def apply(self, F, x, image):
        low, middle, high = (F.slice(F.cast(x, "float32"), 3, at, at + 1) for at in range(3))
        divisor = F.add(F.add(F.multiply(high, 65536.0), F.multiply(middle, 256.0)), low)
        whole = F.add(F.multiply(divisor, 0.0), 255.0)
        return exact_quotient(F, whole, divisor) if self.exact else F.divide(whole, divisor)


def shares(run, divisors, exact=True):
    digits = np.stack([divisors & 255, divisors >> 8 & 255, divisors >> 16], axis=-1)
    picture = digits.astype(np.uint8)[None]
    image = ImageSpec(height=1, width=len(divisors))
    return run(Chain(input=image, stages=(Share(exact=exact),)), picture).reshape(-1)


@pytest.mark.parametrize("first", [1, 50_000, 2**24 - 65_536])
def test_a_quotient_is_the_nearest_float(engine, first):
    divisors = np.arange(first, first + 65_536)
    assert np.array_equal(shares(engine, divisors), F32(255) / divisors.astype(F32))


def test_a_quotient_is_the_nearest_float_in_litert(litert):
    divisors = np.arange(40_000, 60_000)
    assert np.array_equal(shares(litert, divisors), F32(255) / divisors.astype(F32))


class Careless(NumpyPrimitives):
    """Divisions that are off by a bit, up or down."""

    def __init__(self, towards):
        self.towards = F32(towards)

    def divide(self, a, b):
        return np.nextafter(super().divide(a, b), self.towards)


@pytest.mark.parametrize("towards", [-np.inf, np.inf])
def test_a_division_that_is_off_by_a_bit_is_mended(towards):
    divisors = np.arange(1, 2**24, 17)

    def run(chain, picture):
        return chain.apply(Careless(towards), picture[None])

    expected = F32(255) / divisors.astype(F32)
    assert not np.array_equal(shares(run, divisors, exact=False), expected)
    assert np.array_equal(shares(run, divisors), expected)


def test_openvino_divides_by_way_of_the_reciprocal(engine, request):
    """Why `exact_quotient` is there: fails when OpenVINO learns to divide."""
    divisors = np.arange(1, 65_537)
    if request.node.callspec.params["engine"] != "openvino":
        expected = F32(255) / divisors.astype(F32)
    else:
        expected = F32(255) * (F32(1) / divisors.astype(F32))
    assert np.array_equal(shares(engine, divisors, exact=False), expected)
