"""The README's Python runs as it stands."""

import re
from pathlib import Path

import pytest

from edgeprep.conversion import Result

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"(?<!-->\n)```python\n(.*?)```", re.DOTALL)


def test_the_application_of_the_readme_reads_its_digit(
    result: Result,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (code,) = CODE.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    (tmp_path / "digits.edgeprep").symlink_to(result.bundle)
    (tmp_path / "model_zoo").symlink_to(ROOT / "model_zoo")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 -- our own text
    first, title, *_ = capsys.readouterr().out.splitlines()
    label, score = first.split()
    assert label == "3"
    assert float(score) > 0.8
    assert title.startswith("digits-mobilenet: ")
