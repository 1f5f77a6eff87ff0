"""Films with single bits flipped: frames are left out, errors are ours, and nothing dies or hangs.

python tools/benchmarks/flipped_films.py [--count N]     N bits of each film; exit 1 where one fails
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import numpy as np

__all__ = ["measure"]

FILMS = {
    "film.mp4": "libx264",
    "film.ts": "libx264",
    "film.avi": "mjpeg",
    "film.mkv": "mpeg4",
}
FRAMES = 20
# A flip in a clip of so few pictures is worth no more than this.
LIMIT_S = 5.0
COUNT = 2500
# Twenty thousand readings took eight minutes on two busy cores.
MOST_S = 3600.0


def measure() -> Any:
    """Ten thousand flips, as a report."""
    from benchmarks.figures import Figure, Report

    command = [sys.executable, __file__, "--count", str(COUNT)]
    found: dict[str, float] = {}
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=MOST_S)
    except subprocess.TimeoutExpired:
        pass
    else:
        # One that dies prints nothing.
        found = json.loads(done.stdout or "{}")
    return Report(
        title=f"films: {COUNT} single bits flipped in each of {', '.join(FILMS)}",
        figures=(
            Figure(name="processes that died or hung", value=int(not found), limit=0),
            Figure(name="errors that are not ours", value=found.get("foreign", 0), limit=0),
            Figure(name="longest time", value=found.get("longest_s", 0.0), limit=LIMIT_S, unit="s"),
        ),
        notes=(json.dumps(found),),
        details=found,
    )


def main() -> int:
    """Flip, read, and print what came of it as one line of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=COUNT, help="bits of each film")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    import av.logging

    # FFmpeg's own complaints, of which there are thousands.
    av.logging.set_level(av.logging.PANIC)
    rng = np.random.default_rng(arguments.seed)
    found: Counter[str] = Counter()
    longest_s = 0.0
    with TemporaryDirectory() as folder:
        for name, codec in FILMS.items():
            path = make(Path(folder) / name, codec)
            whole = path.read_bytes()
            for bit in rng.choice(len(whole) * 8, arguments.count, replace=False):
                damaged = bytearray(whole)
                damaged[bit // 8] ^= 1 << (bit % 8)
                path.write_bytes(damaged)
                for read in (as_film, as_live):
                    began = monotonic()
                    found[read(path)] += 1
                    longest_s = max(longest_s, monotonic() - began)
            os.unlink(path)  # noqa: PTH108 -- the folder goes as a whole anyway
    print(json.dumps({**found, "foreign": found["foreign"], "longest_s": round(longest_s, 3)}))
    return int(bool(found["foreign"]) or longest_s > LIMIT_S)


def as_film(path: Path) -> str:
    """What comes of it as a file."""
    from edgeprep.errors import EdgePrepError
    from edgeprep.films import open_film

    frames = 0
    try:
        with open_film(path) as film:
            for _ in film:
                frames += 1
    except EdgePrepError:
        return "film: some frames, and an error" if frames else "film: refused"
    except Exception as error:  # noqa: BLE001 -- it is what is looked for
        print(f"{path.name}: {type(error).__name__}: {error}", file=sys.stderr)
        return "foreign"
    return "film: all frames" if frames == FRAMES else "film: some frames"


def as_live(path: Path) -> str:
    """What comes of it as if a camera sent it: what is broken is left out."""
    import av

    from edgeprep.errors import EdgePrepError
    from edgeprep.films._live import Source

    frames = 0
    try:
        source = Source("it", av.open(str(path)), LIMIT_S)
    except Exception:  # noqa: BLE001 -- opening is FFmpeg's here, not ours
        return "live: refused"
    try:
        for _ in source:
            frames += 1
    except EdgePrepError:
        return "live: some frames, and an error"
    except Exception as error:  # noqa: BLE001 -- it is what is looked for
        print(f"{path.name}: {type(error).__name__}: {error}", file=sys.stderr)
        return "foreign"
    finally:
        source.close()
    return "live: all frames" if frames == FRAMES else "live: some frames"


def make(path: Path, codec: str) -> Path:
    """A short film in which something moves."""
    import av

    rng = np.random.default_rng(1)
    scene = rng.integers(0, 256, (12, 16, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=10)
        stream.height, stream.width = 48, 64
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for index in range(FRAMES):
            picture = np.ascontiguousarray(scene[index : index + 48, index : index + 64])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


if __name__ == "__main__":
    sys.exit(main())
