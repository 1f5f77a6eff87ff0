"""Everything that has a name: registered whole, looked up cheaply, the broken kept apart."""

from edgeprep.registry.installed import PluginRecord
from edgeprep.registry.kinds import Kind
from edgeprep.registry.lookup import Registry, default_registry
from edgeprep.registry.requirements import create, missing_requirements

__all__ = [
    "Kind",
    "PluginRecord",
    "Registry",
    "create",
    "default_registry",
    "missing_requirements",
]
