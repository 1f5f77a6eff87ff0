"""Factories that take a configuration as an object, from a table of the recipe or from a file."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from edgeprep.errors import RecipeError
from edgeprep.recipe import ModelTable
from edgeprep.train import load_network

FACTORIES = '''
import torch


class Configuration:
    """As transformers' own: any key is taken, some values are refused."""

    def __init__(self):
        self.width = 2
        self.bias = True

    @classmethod
    def from_dict(cls, table):
        made = cls()
        for key, value in table.items():
            setattr(made, key, value)
        if not isinstance(made.width, int):
            raise TypeError(f"width expected int, got {made.width!r}")
        return made


class Published(torch.nn.Linear):
    config_class = Configuration

    def __init__(self, config, scale=1.0):
        super().__init__(3, config.width, bias=config.bias)
        self.scale = scale


def build(config):
    assert isinstance(config, str)
    return torch.nn.Linear(3, len(config))
'''


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., torch.nn.Module]:
    (tmp_path / "model.py").write_text(FACTORIES)

    def load(factory: str = "model:Published", **arguments: object) -> torch.nn.Module:
        return load_network(ModelTable(factory=factory, arguments=arguments), tmp_path)

    return load


def test_a_table_becomes_the_configuration(load: Callable[..., torch.nn.Module]) -> None:
    network = load(config={"width": 5, "bias": False}, scale=0.5)
    assert (network.out_features, network.bias, network.scale) == (5, None, 0.5)


def test_a_file_becomes_the_configuration_with_keys_about_other_things(
    load: Callable[..., torch.nn.Module], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text('{"width": 4, "published_by": "somebody"}')
    assert load(config="config.json").out_features == 4


def test_other_factories_get_their_arguments_as_they_are(
    load: Callable[..., torch.nn.Module],
) -> None:
    assert load("model:build", config="four").out_features == 4


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"widht": 5}, r"model\.arguments\.config\.widht: unknown key; did you mean 'width'\?$"),
        (
            {"width": "5"},
            (
                r"model\.arguments\.config: must be a configuration that 'Configuration' takes, "
                r"got TypeError: width expected int, got '5' \(model\.py:18\)$"
            ),
        ),
        (
            "absent.json",
            (
                r"model\.arguments\.config: must be the name of a JSON file, relative to the "
                r"recipe, or a table, got 'absent\.json'; looked for '.*/absent\.json': "
                r"No such file or directory$"
            ),
        ),
        (
            "model.py",
            (
                r"model\.arguments\.config: must be the name of a JSON file, relative to the "
                r"recipe, or a table, got 'model\.py', which is none: Expecting value: "
                r"line 2 column 1 \(char 1\)$"
            ),
        ),
        (
            "list.json",
            r"model\.arguments\.config: the file 'list\.json' must hold an object, got \[1\]$",
        ),
    ],
    ids=["unknown key", "refused value", "no file", "no JSON", "no object"],
)
def test_what_is_no_configuration_is_refused(
    load: Callable[..., torch.nn.Module], tmp_path: Path, config: object, message: str
) -> None:
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(RecipeError, match=f"^{message}"):
        load(config=config)
