"""tools/bench_compress: what it refuses."""

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[2] / "tools" / "bench_compress"


def test_another_section_than_those_there_are_is_refused():
    done = subprocess.run([sys.executable, TOOL, "prunes"], capture_output=True, text=True)
    assert done.returncode == 2
    (*_, last) = done.stderr.splitlines()
    assert last == (
        "bench_compress: error: NAME: must be one of budget, distil, pipeline, prune, "
        "quantization-aware, sparsity, got 'prunes'"
    )
