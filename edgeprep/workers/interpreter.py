"""Programs for another Python like this one, which finds code where this process does."""

import json
import sys

__all__ = ["command"]

_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from {module} import main
main(*sys.argv[2:])
"""


def command(module: str, *arguments: object) -> list[str]:
    """What to start, for `main` of `module` to be called with `arguments`, as text.

    NOTE: the directory that the program was started in is no place for code: it may hold anything,
    such as pictures of strangers. Nor is anything else that this process was told to leave alone.

    Args:
        module: by its full name.
        arguments: for its `main`.
    """
    path = [entry for entry in sys.path if isinstance(entry, str)]  # as Python leaves out others
    program = _PROGRAM.format(module=module)
    return [sys.executable, *_flags(), "-c", program, json.dumps(path), *map(str, arguments)]


def _flags() -> list[str]:
    """Those of this process that say where code comes from and what becomes of warnings."""
    flags = sys.flags
    letters = {
        "I": flags.isolated,
        "E": flags.ignore_environment,
        "s": flags.no_user_site,
        "S": flags.no_site,
        "P": True,
    }
    where = "".join(letter for letter, is_set in letters.items() if is_set)
    return [f"-{where}", *(f"-W{rule}" for rule in sys.warnoptions)]
