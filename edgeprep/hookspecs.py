"""The five hooks through which everything that has a name comes into edgeprep.

A plugin is a module, or any object, with one or more functions that carry these names and the mark
`@hookimpl`. Each takes nothing and returns a list of classes: not instances, so that listing costs
nothing; not callbacks, so that it stays known who offers what. A whole plugin:

    from edgeprep import hookimpl
    from edgeprep_acme.denoise import Denoise

    @hookimpl
    def edgeprep_stages():
        return [Denoise]

Installed, it is found by its entry point in the group `edgeprep`:

    [project.entry-points.edgeprep]
    acme = "edgeprep_acme"

The module that the entry point names is imported whenever anything is listed, so it must be light:
what needs torch or an engine goes into a module of its own, imported inside the one-line methods of
the classes. A plugin with a fault is left out as a whole, and `edgeprep plugins` says why.
"""

import pluggy

from edgeprep.interfaces import Backend, Exporter, Pass, Stage, Task

__all__ = [
    "edgeprep_backends",
    "edgeprep_exporters",
    "edgeprep_passes",
    "edgeprep_stages",
    "edgeprep_tasks",
    "hookimpl",
    "hookspec",
]

hookspec = pluggy.HookspecMarker("edgeprep")
hookimpl = pluggy.HookimplMarker("edgeprep")


@hookspec
def edgeprep_stages() -> list[type[Stage]]:
    """Preprocessing steps, which a recipe names as `use` in `[[preprocess]]`.

    Frozen dataclasses whose fields are the other keys of that table, with a class attribute `name`
    and, once a released stage has to compute something else, a higher `version`: bundles name the
    version that they were made with, so the old class stays. `edgeprep.testing.check_stage` tries
    one on hard pictures.
    """
    raise NotImplementedError


@hookspec
def edgeprep_passes() -> list[type[Pass]]:
    """Compression steps, torch → torch, which a recipe names as `use` in `[[compress]]`.

    Frozen dataclasses whose fields are the other keys of that table. A pass that finds nothing to
    do raises with the reason.
    """
    raise NotImplementedError


@hookspec
def edgeprep_exporters() -> list[type[Exporter]]:
    """Writers of formats, which a recipe names as `format` in `[[target]]`.

    Frozen dataclasses whose fields are the extra keys of that table; `name` is the format and
    `precisions` says what it can be written in.
    """
    raise NotImplementedError


@hookspec
def edgeprep_backends() -> list[type[Backend]]:
    """Libraries that run a format on this machine.

    `formats` says which, `requires` which modules must be there: `Backend` classes are listed and
    asked for both on machines where the library is absent, and constructed only where it is not.
    """
    raise NotImplementedError


@hookspec
def edgeprep_tasks() -> list[type[Task]]:
    """Meanings of a network's outputs, which a recipe names as `use` in `[task]`.

    Frozen dataclasses whose fields are the other keys of that table; `metrics` says how the task
    is scored, the default first.
    """
    raise NotImplementedError
