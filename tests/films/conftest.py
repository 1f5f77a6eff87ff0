"""Films whose every frame is known."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

Film = Callable[..., Path]


@pytest.fixture
def film(tmp_path: Path) -> Film:
    """Writes a film by PyAV alone: frame `i` is grey of level `16 + 4 * i`."""

    def write(
        name: str = "film.mp4",
        *,
        frames: int = 20,
        size: tuple[int, int] = (48, 64),
        fps: int = 10,
        codec: str = "libx264",
        options: Mapping[str, str] | None = None,
        pictures: Any = None,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", options=dict(options or {})) as container:
            stream = container.add_stream(codec, rate=fps)
            stream.height, stream.width = size
            stream.pix_fmt = "rgb24" if codec == "png" else "yuv420p"
            for index in range(frames):
                picture = np.full((*size, 3), 16 + 4 * index, np.uint8)
                picture = picture if pictures is None else pictures[index]
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts = index
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return write


@pytest.fixture
def cut() -> Callable[[Path, float], Path]:
    """Leaves the first part of a file, and throws the rest away."""

    def cut(path: Path, share: float) -> Path:
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        return path

    return cut
