"""A small bundle, and what it is made of."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from edgeprep.bundle import (
    Bundle,
    Golden,
    Manifest,
    Measured,
    Parity,
    SourceRecord,
    Variant,
    read_bundle,
)
from edgeprep.bundle.container import HEADER, MAGIC, VERSION
from edgeprep.bundle.write import pack
from edgeprep.tensors import ImageSpec, TensorSpec

IMAGE = TensorSpec(name="image", shape=(1, 4, 4, 3), dtype="uint8")
LOGITS = TensorSpec(name="logits", shape=(1, 3), dtype="float32")


@pytest.fixture(scope="session")
def members() -> dict[str, bytes]:
    pictures = np.arange(2 * 4 * 4 * 3, dtype=np.uint8)
    logits = np.array([[0.5, -1.0, 2.0], [1e-3, 0.0, -7.25]], dtype="<f4")
    return {
        "variants/openvino-int8/model.xml": b"<net/>",
        "variants/openvino-int8/model.bin": b"",
        "variants/onnx-fp32/model.onnx": bytes(range(200)),
        "golden/graph/input": pictures.tobytes(),
        "golden/graph/source-0": logits.tobytes(),
        "golden/onnx-fp32/0": logits.tobytes(),
        "golden/openvino-int8/0": (logits * np.float32(1.5)).tobytes(),
    }


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    def variant(name: str, files: tuple[str, ...], size_bytes: int) -> Variant:
        kind, precision = name.split("-")
        return Variant(
            name=name,
            format=kind,
            precision="int8" if precision == "int8" else "fp32",
            placement="graph",
            files=tuple(f"variants/{name}/{file}" for file in files),
            size_bytes=size_bytes,
            input=IMAGE,
            outputs=(LOGITS,),
            parity=Parity(max_abs=2e-6, relative=1e-6, samples=8),
            metric=Measured(name="accuracy", value=0.98, drop=0.0, samples=100),
            tolerance=1e-3,
            golden_outputs=(f"golden/{name}/0",),
        )

    return Manifest(
        name="digits",
        created_with={"edgeprep": "0.1.0", "torch": "2.10.0"},
        recipe_sha256="ab" * 32,
        task={"use": "classify", "labels": ["a", "b", "ç"]},
        input=ImageSpec(height=4, width=4),
        chain=({"use": "normalize@1", "mean": [0.5, 0.25, 0.125], "std": [1.0, 1.0, 1.0]},),
        source=SourceRecord(metric="accuracy", value=0.98, samples=100),
        variants=(
            variant("onnx-fp32", ("model.onnx",), 200),
            variant("openvino-int8", ("model.xml", "model.bin"), 6),
        ),
        golden=(
            Golden(
                placement="graph",
                input=replace(IMAGE, shape=(2, 4, 4, 3)),
                input_member="golden/graph/input",
                outputs=(replace(LOGITS, shape=(2, 3)),),
                output_members=("golden/graph/source-0",),
            ),
        ),
    )


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    """The small bundle in a file."""
    (tmp_path / "digits.edgeprep").write_bytes(content)
    return tmp_path / "digits.edgeprep"


@pytest.fixture(scope="session")
def content(manifest: Manifest, members: dict[str, bytes]) -> bytes:
    """The small bundle: about 3 KB."""
    return b"".join(pack(manifest, members, "x.edgeprep"))


@pytest.fixture(scope="session")
def read() -> Callable[[bytes], Bundle]:
    """Open bytes as a bundle that messages call "x.edgeprep"."""

    def read(content: bytes) -> Bundle:
        return read_bundle(io.BytesIO(content), "x.edgeprep")

    return read


@pytest.fixture(scope="session")
def forge(content: bytes) -> Callable[[Callable[[str], str]], bytes]:
    """The small bundle with its manifest's JSON changed, and the digest of it made to fit."""

    def forge(change: Callable[[str], str]) -> bytes:
        size = HEADER.unpack(content[: HEADER.size])[3]
        encoded = change(content[HEADER.size :][:size].decode()).encode()
        digest = hashlib.sha256(encoded).digest()
        head = HEADER.pack(MAGIC, VERSION, 0, len(encoded), digest) + encoded
        start = -(-(HEADER.size + size) // 64) * 64
        return head + bytes(-len(head) % 64) + content[start:]

    return forge


@pytest.fixture(scope="session")
def forge_tables(
    forge: Callable[[Callable[[str], str]], bytes],
) -> Callable[[Callable[[dict], None]], bytes]:
    """The same, with the manifest changed as tables and lists."""

    def forge_tables(change: Callable[[dict], None]) -> bytes:
        def rewrite(encoded: str) -> str:
            tables = msgspec.json.decode(encoded)
            change(tables)
            return msgspec.json.encode(tables).decode()

        return forge(rewrite)

    return forge_tables
