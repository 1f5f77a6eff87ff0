import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

import edgeprep
from edgeprep import errors

ROOT = Path(__file__).parents[2]


def public_modules():
    modules = []
    for path in sorted((ROOT / "edgeprep").rglob("*.py")):
        inside = path.relative_to(ROOT).with_suffix("").parts
        if not any(part.startswith("_") and part != "__init__" for part in inside):
            modules.append(".".join(inside).removesuffix(".__init__"))
    return modules


def test_the_package_offers_what_its_plan_promises():
    assert set(edgeprep.__all__) == {
        "Bundle",
        "EdgePrepError",
        "Limits",
        "Recheck",
        "Recipe",
        "Session",
        "__version__",
        "convert",
        "ensemble",
        "hookimpl",
        "load_recipe",
        "open",
    }


@pytest.mark.parametrize("name", edgeprep.__all__)
def test_every_name_that_the_package_offers_is_there(name):
    assert name in dir(edgeprep)
    assert getattr(edgeprep, name).__doc__


def test_a_name_that_the_package_does_not_offer_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'edgeprep' has no attribute 'opne'$"):
        edgeprep.opne  # noqa: B018 -- asking is the test


@pytest.mark.parametrize("module", public_modules())
def test_a_public_module_offers_names_that_are_there(module):
    loaded = importlib.import_module(module)
    offered = getattr(loaded, "__all__", [])
    own = [name for name in vars(loaded) if not name.startswith("_")]
    # A package that only holds modules offers nothing itself.
    own = [name for name in own if not isinstance(getattr(loaded, name), ModuleType)]
    assert offered or not own
    assert [name for name in offered if not hasattr(loaded, name)] == []


def test_the_tree_of_errors_is_drawn_as_it_is():
    drawn, above = {}, []
    for line in errors.__doc__.splitlines():
        entry = re.match(r"( +[│├└─ ]*)(\w+)(  |$)", line)
        if entry is None:
            continue
        depth, name = len(entry[1]), entry[2]
        above = [(other, indent) for other, indent in above if indent < depth]
        standard = re.findall(r"\(also (\w+)\)", line)
        drawn[name] = [*(other for other, _ in above[-1:]), *standard]
        above.append((name, depth))
    assert drawn.pop("EdgePrepError") == []
    assert errors.EdgePrepError.__bases__ == (Exception,)
    assert drawn == {
        name: [base.__name__ for base in getattr(errors, name).__bases__]
        for name in errors.__all__
        if name != "EdgePrepError"
    }
