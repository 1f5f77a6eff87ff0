"""Where a worker finds a class, so that no code and no object has to travel."""

import os
import sys

from msgspec import Struct

__all__ = ["Origin", "find_origin", "why_no_worker"]


class Origin(Struct, frozen=True, kw_only=True):
    """A class by its name, in a module by its name and file.

    Attributes:
        module: as `import` takes it.
        name: of the class in it, with dots where it stands in another class.
        file: what the module was read from; "" where that is nothing that could be read again.
    """

    module: str
    name: str
    file: str = ""


def find_origin(cls: type) -> Origin | str:
    """Where another process can import `cls` from, or why it cannot."""
    module, name = cls.__module__, cls.__qualname__
    if module == "__main__":
        # To import it would run the program a second time.
        return f"its class {name!r} is defined in the program itself, not in a module"
    found: object = sys.modules.get(module)
    file = getattr(found, "__file__", None) or ""
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not cls:
        return f"its class {name!r} cannot be imported from {module!r} by name"
    return Origin(module=module, name=name, file=os.path.abspath(file) if file else "")


def why_no_worker() -> str | None:
    """Why this process can start none; None if it can."""
    if os.name != "posix" or sys.platform in ("emscripten", "wasi"):
        return f"the system {sys.platform!r} cannot hand memory to another process"
    if getattr(sys, "frozen", False) or not sys.executable:
        # Of a frozen program, `sys.executable` is that program.
        return "no Python interpreter is known that could run a worker"
    return None
