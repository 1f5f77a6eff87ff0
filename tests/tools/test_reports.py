"""tools/reports.py: what the programs have in common that print reports."""

import json
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).parents[2] / "tools"
PROGRAM = """
import sys
sys.path.insert(0, {tools!r})
from reports import at_least, main, options

def measure(name, arguments):
    from benchmarks.figures import Figure, Report
    value = len(name) * arguments.times
    return Report(title=name, figures=(Figure(name="long", value=value, limit=6),))

def jobs(arguments):
    return [[name, "--times", str(arguments.times)] for name in arguments.names or ("one", "three")]

parser = options("Words.", "WORD", ("one", "three"), "what is counted")
parser.add_argument("--times", type=at_least(1), default=1)
sys.exit(main(parser, measure, jobs))
"""


def run(tmp_path, *words):
    program = tmp_path / "program"
    program.write_text(PROGRAM.format(tools=str(TOOLS)))
    return subprocess.run(
        [sys.executable, program, *words], capture_output=True, text=True, timeout=60
    )


def test_each_name_is_a_report_and_one_figure_that_is_missed_is_status_1(tmp_path):
    done = run(tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert [report["title"] for report in json.loads(done.stdout)["reports"]] == ["one", "three"]
    done = run(tmp_path, "three", "--times", "2")
    assert done.returncode == 1, done.stderr
    assert "MISSED  long" in done.stdout
    assert done.stdout.endswith("\n0 of 1 figures are met\n")


def test_what_is_no_name_or_too_small_is_status_2(tmp_path):
    done = run(tmp_path, "two")
    assert (done.returncode, done.stdout) == (2, "")
    assert "WORD: must be one of one, three, got 'two'" in done.stderr
    done = run(tmp_path, "--times", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--times: must be at least 1, got 0" in done.stderr
