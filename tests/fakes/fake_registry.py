"""A registry in which nothing but fakes can run a model."""

from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import Backend
from edgeprep.registry import Registry


def registry_of(*backends: type[Backend]) -> Registry:
    """The built-in stages and tasks, and these backends."""

    class Plugin:
        @staticmethod
        @hookimpl
        def edgeprep_backends() -> list[type[Backend]]:
            return list(backends)

    registry = Registry(installed=False)
    registry.register("fakes", Plugin)
    return registry
