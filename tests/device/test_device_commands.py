import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.prefix) / "bin" / "edgeprep"
RECIPE = Path(__file__).parents[2] / "model_zoo" / "digits-mobilenet" / "recipe.toml"


def edgeprep(*words):
    command = [PROGRAM, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def document(*words):
    """What a command prints to stdout, which must be one line of JSON and nothing else."""
    done = edgeprep(*words, "--format", "json")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    content = json.loads(line)
    assert content["schema_version"] == 1
    return content


def test_run_prints_a_label_for_each_picture(bundle, engine, samples):
    content = document("run", bundle, *samples.values())
    assert [result["label"] for result in content["results"]] == list(samples)
    assert [result["picture"] for result in content["results"]] == [*map(str, samples.values())]
    assert content["choice"]["backend"] == engine.backend


def test_benchmark_prints_a_choice_and_what_is_unavailable(bundle, engine):
    content = document("benchmark", bundle, "--rounds", "3")
    assert content["choice"] == content["candidates"][0]
    assert content["choice"]["backend"] == engine.backend
    assert content["choice"]["median_ms"] > 0
    unavailable = [
        candidate["variant"]
        for candidate in content["candidates"]
        # Those without one are accelerators of the engine that this machine has not.
        if candidate["verdict"] == "unavailable" and candidate["variant"]
    ]
    assert sorted(unavailable) == [
        f"{absent}-{precision}" for absent in engine.absent for precision in ("fp32", "int8")
    ]


def test_inspect_prints_all_six_variants(bundle, engine):
    variants = document("inspect", bundle)["manifest"]["variants"]
    expected = [
        f"{name}-{precision}"
        for name in sorted((engine.format, *engine.absent))
        for precision in ("fp32", "int8")
    ]
    assert sorted(variant["name"] for variant in variants) == expected


def test_doctor_prints_the_one_engine_with_its_cpu(engine):
    (backend,) = document("doctor")["backends"]
    assert (backend["name"], backend["reason"]) == (engine.backend, None)
    assert "cpu" in [device["kind"] for device in backend["devices"]]


def test_plugins_prints_the_built_in_ones_and_the_one_installed(engine):
    plugins = document("plugins")["plugins"]
    names = [(plugin["name"], plugin["state"]) for plugin in plugins]
    built_in = ("edgeprep.stages", "edgeprep.compress", "edgeprep.tasks")
    assert names == [*((name, "ok") for name in built_in), (engine.plugin, "ok")]


@pytest.mark.parametrize(
    "words", [("doctor",), ("plugins",)], ids=lambda words: " ".join(map(str, words))
)
def test_tables_for_people_name_the_engine(engine, words):
    done = edgeprep(*words)
    assert done.returncode == 0
    assert engine.backend in done.stdout


@pytest.mark.parametrize(
    ("words", "missing"), [(["convert", RECIPE], "rich"), (["evaluate", "BUNDLE", RECIPE], "torch")]
)
def test_commands_of_a_workstation_say_what_to_install(bundle, words, missing, tmp_path):
    command, *rest = [bundle if word == "BUNDLE" else word for word in words]
    done = edgeprep(command, *rest)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"edgeprep: {command} needs {missing}, which is not installed; "
        "pip install edgeprep[convert]\n"
    )
