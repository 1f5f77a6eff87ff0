"""`edgeprep inspect` and `benchmark`, and what every command says of a bundle that is none."""

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from edgeprep.bundle import Reference, Spread, open_bundle, write_bundle

Run = Callable[..., Any]


def test_inspect_shows_people_what_is_inside(edgeprep: Run, bundle: Path) -> None:
    ended = edgeprep("inspect", bundle)
    digest = open_bundle(bundle).digest
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        "name       brightest",
        f"digest     {digest}",
        f"size       {bundle.stat().st_size} bytes, 4 members",
        "task       classify labels=['red', 'green', 'blue'] top=2",
        "input      rgb any size",
        "preprocess resize@1 size=[8, 8]",
        "preprocess scale@1",
        "source     accuracy 0.9688 on 32 samples",
        "budget     none",
        "made with  edgeprep 0.1.0",
        "drift      no reference: pictures and answers are not watched",
        "",
        "variant    format  precision  placement  bytes  parity   metric             drop",
        "fake-fp32  fake    fp32       split          4  0.0e+00  accuracy 0.9375  0.0312",
    ]


def test_inspect_shows_what_pictures_were_like_and_what_can_be_told(
    edgeprep: Run, bundle: Path, tmp_path: Path
) -> None:
    opened = open_bundle(bundle)
    spread = Spread(low=0.1, middle=0.4, high=0.81234, mean=0.41, deviation=0.2)
    reference = Reference(
        placement="split", pictures=64, features={"brightness": spread}, classes=(60, 0, 4)
    )
    names = [member.name for member in opened.manifest.members]
    members = {name: bytes(opened.member(name)) for name in names}
    manifest = replace(opened.manifest, references=(reference,))
    write_bundle(tmp_path / "known.edgeprep", manifest, members, overwrite=False)
    lines = edgeprep("inspect", tmp_path / "known.edgeprep").stdout.splitlines()
    assert lines[10] == (
        "drift      split: 64 pictures and 64 answers of 3 classes; "
        "tells frozen, black, dark, classes"
    )
    assert lines[-3:] == [
        "",
        "feature     placement    low  middle   high   mean  deviation",
        "brightness  split      0.100   0.400  0.812  0.410      0.200",
    ]


def test_inspect_gives_machines_the_whole_manifest(edgeprep: Run, bundle: Path) -> None:
    document = json.loads(edgeprep("inspect", bundle, "--format", "json").stdout)
    assert list(document) == ["schema_version", "bundle", "digest", "size_bytes", "manifest"]
    assert document["bundle"] == str(bundle)
    assert document["size_bytes"] == bundle.stat().st_size
    assert document["manifest"]["variants"][0]["name"] == "fake-fp32"


def test_inspect_needs_no_engine(
    edgeprep: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPREP_PLUGINS", "other")
    assert edgeprep("inspect", bundle).code == 0


def test_benchmark_gives_machines_every_candidate(edgeprep: Run, bundle: Path) -> None:
    ended = edgeprep("benchmark", bundle, "--rounds", "2", "--format", "json")
    document = json.loads(ended.stdout)
    assert list(document) == ["schema_version", "choice", "candidates"]
    assert [candidate["verdict"] for candidate in document["candidates"]] == ["chosen", "slower"]
    assert document["choice"] == document["candidates"][0]
    for candidate in document["candidates"]:
        assert set(candidate) >= {
            "variant",
            "backend",
            "device",
            "options",
            "verdict",
            "median_ms",
            "p90_ms",
            "reason",
        }
        assert 0 < candidate["median_ms"] <= candidate["p90_ms"]
    assert sorted(one["options"]["threads"] for one in document["candidates"]) == [1, 2]


def test_benchmark_shows_people_a_table(edgeprep: Run, bundle: Path) -> None:
    ended = edgeprep("benchmark", bundle, "--rounds", "2")
    first, head, chosen, slower = ended.stdout.splitlines()
    assert first == "brightest: 2 candidates, measured now"
    assert head.split("  ")[0] == "verdict"
    assert chosen.endswith("the fastest that computes the right numbers")
    assert slower.endswith("times the chosen one")


def test_benchmark_for_throughput_shows_pictures_a_second(edgeprep: Run, bundle: Path) -> None:
    ended = edgeprep("benchmark", bundle, "--goal", "throughput", "--rounds", "2")
    first, head, chosen, *_ = ended.stdout.splitlines()
    assert first.endswith("measured now for throughput, times are a picture's share")
    assert "  per second  median ms  " in head
    assert chosen.endswith("the most pictures a second, with the right numbers")


def test_benchmark_for_throughput_gives_machines_the_figure(edgeprep: Run, bundle: Path) -> None:
    ended = edgeprep(
        "benchmark", bundle, "--goal", "throughput", "--rounds", "2", "--format", "json"
    )
    measured = [
        candidate
        for candidate in json.loads(ended.stdout)["candidates"]
        if candidate["median_ms"] is not None
    ]
    assert measured
    for candidate in measured:
        assert candidate["per_second"] == pytest.approx(1e3 / candidate["median_ms"], rel=0.1)


def test_a_goal_that_is_none_is_wrong_usage(edgeprep: Run, bundle: Path) -> None:
    ended = edgeprep("benchmark", bundle, "--goal", "speed")
    assert ended.code == 2
    assert "'speed' is not one of 'latency', 'throughput', 'memory'" in ended.stderr


COMMANDS = {
    "inspect": ("inspect", "BUNDLE"),
    "run": ("run", "BUNDLE", "picture.png"),
    "benchmark": ("benchmark", "BUNDLE"),
}


def empty(content: bytes) -> bytes:
    return b""


def truncated(content: bytes) -> bytes:
    return content[:-100]


def newer(content: bytes) -> bytes:
    return content[:8] + struct.pack("<I", 2) + content[12:]


def flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (empty, "must be at least 56 bytes long, got 0"),
        (truncated, "it was cut short, copy it again"),
        (newer, "must have layout version 1, got 2; upgrade edgeprep to read it"),
        (flipped, "it was damaged, copy it again"),
    ],
)
def test_a_damaged_bundle_is_refused_by_every_command(
    edgeprep: Run,
    bundle: Path,
    command: str,
    damage: Callable[[bytes], bytes],
    message: str,
    left_behind: Callable[[], list[str]],
) -> None:
    Path("damaged").write_bytes(damage(bundle.read_bytes()))
    ended = edgeprep(*(word.replace("BUNDLE", "damaged") for word in COMMANDS[command]))
    assert (ended.code, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("edgeprep: damaged: ")
    assert line.endswith(message)
    assert left_behind() == ["damaged"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_bundle_is_named(edgeprep: Run, command: str) -> None:
    ended = edgeprep(*(word.replace("BUNDLE", "absent") for word in COMMANDS[command]))
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr == (
        "edgeprep: absent: must be a file that can be read, got 'No such file or directory'\n"
    )


@pytest.mark.parametrize("command", ["run", "benchmark"])
def test_a_bundle_with_a_stage_that_is_not_installed_says_which(
    edgeprep: Run, bundle: Path, command: str
) -> None:
    whole = open_bundle(bundle)
    chain = ({"use": "quux@1"}, *whole.manifest.chain)
    write_bundle("other.edgeprep", replace(whole.manifest, chain=chain), dict(whole.contents))
    ended = edgeprep(
        *(word.replace("BUNDLE", "other.edgeprep") for word in COMMANDS[command]),
    )
    assert (ended.code, ended.stdout) == (1, "")
    assert re.fullmatch(
        r"edgeprep: other\.edgeprep: must have stages and a task that are installed here, "
        r"got preprocess\[0\]\.use: unknown stage 'quux@1'; "
        r"known here: 'resize@1', .*'layout@1'.*; "
        r"install the plugin that offers it, or a newer edgeprep\n",
        ended.stderr,
    )
    # What it is made of can still be seen.
    assert "preprocess quux@1\n" in edgeprep("inspect", "other.edgeprep").stdout
