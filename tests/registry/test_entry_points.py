"""Entry points read from folders, against importlib.metadata."""

import sys
import zipfile
from importlib.metadata import distributions

import pytest

from edgeprep.registry.entry_points import EntryPoint, list_entry_points

METADATA = "Metadata-Version: 2.1\nName: Some.Thing\nVersion: 1.5\n\nName: not this one\n"


def as_importlib_says(group):
    return sorted(
        (entry.name, entry.value, distribution.name, distribution.version)
        for distribution in distributions()
        for entry in distribution.entry_points
        if entry.group == group
    )


def as_we_say(group):
    found = list_entry_points(group)
    return sorted((e.name, e.value, e.distribution, e.version) for e in found)


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """A folder that is all of sys.path."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return tmp_path


def write(folder, ending, text, metadata=METADATA):
    info = folder / f"Some.Thing-1.5{ending}"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text(text)
    (info / ("METADATA" if ending == ".dist-info" else "PKG-INFO")).write_text(metadata)


@pytest.mark.parametrize("group", ["edgeprep", "console_scripts", "pytest11", "no_such_group"])
def test_what_is_installed_here_is_what_importlib_finds(group):
    # Of a folder that is on sys.path twice, importlib gives everything twice.
    assert sorted(set(as_we_say(group))) == sorted(set(as_importlib_says(group)))


@pytest.mark.parametrize("ending", [".dist-info", ".egg-info"])
@pytest.mark.parametrize(
    "text",
    [
        "[edgeprep]\na = b\n",
        "\n# a comment\n[other]\nx = y\n\n[edgeprep]\n  a=b.c:d.e [extra]\n#z = z\n[last]\nq = r\n",
        "[edgeprep]\r\na = b\r\nc = d:e\r\n",
        "[other]\na = b\n",
        "",
    ],
    ids=["one", "among others", "of Windows", "none of ours", "empty"],
)
def test_every_way_to_write_them_is_read_as_importlib_reads_it(alone, ending, text):
    write(alone, ending, text)
    assert as_we_say("edgeprep") == as_importlib_says("edgeprep")


def test_values_are_as_written_and_metadata_ends_at_the_empty_line(alone):
    write(alone, ".dist-info", "[edgeprep]\na = b.c:d\n")
    assert as_we_say("edgeprep") == [("a", "b.c:d", "Some.Thing", "1.5")]


def test_distributions_in_a_zip_file_are_found(alone, monkeypatch):
    write(alone, ".dist-info", "[edgeprep]\nin_folder = a\n")
    archive = alone / "packed.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("zipped-2.0.dist-info/METADATA", "Name: zipped\nVersion: 2.0\n")
        packed.writestr("zipped-2.0.dist-info/entry_points.txt", "[edgeprep]\nin_zip = b\n")
    monkeypatch.setattr(sys, "path", [str(alone), str(archive)])
    assert [name for name, *_ in as_we_say("edgeprep")] == ["in_folder", "in_zip"]


@pytest.mark.parametrize(
    ("metadata", "text"),
    [("Version: 1.5\n", "[edgeprep]\na = b\n"), (METADATA, "[edgeprep]\na = b\n\udcff")],
    ids=["without a name", "not UTF-8"],
)
def test_a_damaged_distribution_is_left_out(alone, metadata, text):
    write(alone, ".dist-info", "", metadata)
    file = alone / "Some.Thing-1.5.dist-info" / "entry_points.txt"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert as_we_say("edgeprep") == []


@pytest.mark.parametrize(
    ("value", "name"),
    [("os", "os"), ("os:path", "posixpath"), ("os : path [extra]", "posixpath")],
)
def test_loading_gives_the_module_or_what_is_in_it(value, name):
    entry = EntryPoint(name="x", value=value, distribution="", version="")
    assert entry.load().__name__ == name


def test_loading_goes_through_attributes_of_attributes():
    entry = EntryPoint(name="x", value="os:path.join", distribution="", version="")
    assert entry.load()("a", "b") == "a/b"
