"""A registry in which nothing but fakes can run a model."""

from types import SimpleNamespace

from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import Backend
from edgeprep.registry import Registry


def registry_of(*backends: type[Backend]) -> Registry:
    """The built-in stages and tasks, and these backends."""
    plugin = SimpleNamespace(edgeprep_backends=hookimpl(lambda: [*backends]))
    registry = Registry(installed=False)
    registry.register("fakes", plugin)
    return registry
