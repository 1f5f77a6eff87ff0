"""Environments are made once, made again when they must be, and never used half made."""

from pathlib import Path

import pytest

PYPROJECT = '[project]\nname = "one"\ndependencies = ["numpy"]\n[tool.ruff]\nline-length = 100\n'


class Pip:
    """In the place of commands: makes the files that matter, and fails when it is told to."""

    def __init__(self, failed):
        self.commands = []
        self.broken = ""
        self._failed = failed

    def __call__(self, *command, **variables):
        words = [str(word) for word in command]
        self.commands.append(words)
        if self.broken and self.broken in words:
            raise self._failed("no such version")
        if words[1:3] == ["-m", "venv"]:
            Path(words[3], "bin").mkdir(parents=True)
        return ""


@pytest.fixture
def pip(environment, monkeypatch):
    pip = Pip(environment.Failed)
    monkeypatch.setattr(environment, "run", pip)
    return pip


@pytest.fixture
def checkout(environment, monkeypatch, tmp_path):
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("numpy==2.4.6\npytest==9.2.0\n")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "CONSTRAINTS", constraints)
    monkeypatch.setattr(environment, "WHEELS", tmp_path)
    (tmp_path / "edgeprep-0.1.0-py3-none-any.whl").touch()
    return tmp_path


@pytest.fixture
def work(environment, checkout, pip):
    return environment.Environment(
        name="work", editable=True, first=("torch",), projects=((".", "convert"),)
    )


def test_an_environment_is_made_and_then_used_again(work, pip, checkout):
    assert work.make()
    assert [words[-1] for words in pip.commands] == [
        str(checkout / ".env" / "work"),
        "torch",
        f"{checkout}[convert]",
    ]
    assert not work.make()
    assert len(pip.commands) == 3


@pytest.mark.parametrize("broken", ["venv", "torch", "--editable"])
def test_what_was_left_half_made_is_made_from_nothing(work, pip, environment, broken):
    pip.broken = broken
    with pytest.raises(environment.Failed, match=r"^no such version$"):
        work.make()
    left = work.path / "left-over"
    work.path.mkdir(exist_ok=True)
    left.touch()
    pip.broken = ""
    assert work.make()
    assert not left.exists()
    assert not work.make()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("constraints.txt", "2.4.6", "2.4.7"),
        ("pyproject.toml", '["numpy"]', '["numpy", "click"]'),
    ],
)
def test_it_is_made_again_when_what_it_installs_has_changed(work, checkout, file, old, new):
    work.make()
    path = checkout / file
    path.write_text(path.read_text().replace(old, new))
    assert work.make()


def test_settings_of_linters_do_not_make_it_again(work, checkout):
    work.make()
    path = checkout / "pyproject.toml"
    path.write_text(path.read_text().replace("line-length = 100", "line-length = 99"))
    assert not work.make()


def test_a_checkout_that_was_moved_makes_its_own(work, checkout, environment, monkeypatch):
    work.make()
    moved = checkout.with_name("moved")
    checkout.rename(moved)
    monkeypatch.setattr(environment, "ROOT", moved)
    monkeypatch.setattr(environment, "CONSTRAINTS", moved / "constraints.txt")
    assert work.make()


def test_wheels_are_installed_anew_and_their_libraries_are_not(environment, checkout, pip):
    device = environment.Environment(name="device", projects=((".", "picture"),))
    device.make()
    pip.commands.clear()
    assert not device.make()
    ((*_, force, alone, project),) = pip.commands
    assert (force, alone) == ("--force-reinstall", "--no-deps")
    assert project == f"{checkout}/edgeprep-0.1.0-py3-none-any.whl[picture]"


def test_pins_take_the_place_of_constraints_of_the_same_name(environment, checkout):
    assert environment.pinned(("numpy==1.26.4",)) == ["pytest==9.2.0", "numpy==1.26.4"]


def test_a_command_that_fails_is_told_with_what_it_printed(environment):
    script = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    with pytest.raises(environment.Failed, match=r"(?s)^python3 -c .*\nout\nerr\n\nexit status 3$"):
        environment.run("python3", "-c", script)


def test_variables_that_would_lead_astray_are_left_out(environment, monkeypatch):
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "EDGEPREP_PLUGINS", "PYTEST_ADDOPTS"):
        monkeypatch.setenv(name, "astray")
    monkeypatch.setenv("NO_COLOR", "1")
    variables = environment.clean_variables()
    assert "astray" not in variables.values()
    assert variables["NO_COLOR"] == "1"


@pytest.fixture
def no_python_is_known(environment):
    environment.find_python.cache_clear()
    environment.build_of.cache_clear()
    yield
    environment.find_python.cache_clear()
    environment.build_of.cache_clear()


def script(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines)) + "\n")
    path.chmod(0o755)
    return path


@pytest.mark.usefixtures("no_python_is_known")
def test_another_python_is_found_on_the_path(environment, monkeypatch, tmp_path):
    python = script(tmp_path / "bin" / "python3.99", "echo '3.99.1 (main)'")
    monkeypatch.setenv("PATH", str(python.parent))
    assert environment.find_python((3, 99)) == python


@pytest.mark.usefixtures("no_python_is_known")
def test_another_python_is_found_beside_this_one_when_that_on_the_path_does_not_run(
    environment, monkeypatch, tmp_path
):
    broken = script(tmp_path / "shims" / "python3.99", "exit 127")
    python = script(tmp_path / "versions" / "3.99.1" / "bin" / "python3.99", "echo 3.99.1")
    monkeypatch.setenv("PATH", str(broken.parent))
    monkeypatch.setattr("sys.base_prefix", str(tmp_path / "versions" / "3.11.7"))
    assert environment.find_python((3, 99)) == python


@pytest.mark.usefixtures("no_python_is_known")
def test_an_environment_whose_python_is_not_there_is_not_possible(environment, checkout):
    device = environment.Environment(name="device", projects=(), python=(3, 99))
    assert not device.possible
    with pytest.raises(environment.Failed, match=r"^device: its Python is not on this machine$"):
        device.make()


def test_an_environment_is_made_by_the_python_it_names(environment, checkout, pip, monkeypatch):
    other = script(checkout / "bin" / "python3.99", "echo 3.99.1")
    monkeypatch.setattr(environment, "find_python", lambda version: other)
    environment.Environment(name="device", projects=((".", ""),), python=(3, 99)).make()
    assert pip.commands[0][:3] == [str(other), "-m", "venv"]


def test_each_engine_has_an_environment_for_each_python_that_it_is_published_for(environment):
    pythons = {
        engine: [device.python for device in devices]
        for engine, devices in environment.DEVICES.items()
    }
    three = [(3, 11), (3, 12), (3, 13)]
    assert pythons == {
        "onnxruntime": three,
        "openvino": three,
        "ai-edge-litert": three,
        "tflite-runtime": [(3, 11)],
    }
