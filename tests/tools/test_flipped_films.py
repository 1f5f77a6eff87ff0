"""Damaged films, a few hundred of the ten thousand of tools/benchmarks/flipped_films.py."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "tools" / "benchmarks" / "flipped_films.py"


def test_films_with_a_flipped_bit_are_read_as_far_as_they_go_or_refused():
    done = subprocess.run(
        [sys.executable, SCRIPT, "--count", "30", "--seed", "7"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["foreign"] == 0
    # Each is read in two ways, and some flips are seen in some way.
    assert sum(count for what, count in found.items() if ": " in what) == 2 * 4 * 30
    assert found["live: some frames"] > 0
    assert found["film: some frames, and an error"] > 0
