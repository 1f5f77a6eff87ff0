import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

import edgeprep.data
from edgeprep.data import build_reader
from edgeprep.data.file_reader import FileReader
from edgeprep.data.readers import READERS

README = Path(edgeprep.data.__file__).with_name("README.md").read_text(encoding="utf-8")
EXAMPLES = {
    f"{number}.{name}": table
    for number, block in enumerate(re.findall(r"```toml\n(.*?)```", README, re.DOTALL))
    for name, table in tomllib.loads(block)["data"].items()
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_a_table_of_a_recipe(name: str) -> None:
    assert build_reader(EXAMPLES[name], f"data.{name}").name == EXAMPLES[name]["use"]


@pytest.mark.parametrize("name", READERS)
def test_every_reader_has_a_row_with_its_keys_and_truths(name: str) -> None:
    (row,) = re.findall(rf"^\| `{name}` \| (.*) \| (.*) \|$", README, re.MULTILINE)
    reader = READERS[name]
    own = {field.name for field in fields(reader)} - {  # type: ignore[arg-type]
        *("limit", "seed", "listed_in", "split", "held_out", "split_seed", "classes", "others"),
        "unreadable",
    }
    assert {key for key in own if f"`{key}`" not in row[0]} == set()
    given = set(row[1].split(", ")) - {"nothing"}
    # Those of directories find out whether they are classes.
    known = reader.truths or (("class",) if issubclass(reader, FileReader) else ())
    assert given == {*known}
