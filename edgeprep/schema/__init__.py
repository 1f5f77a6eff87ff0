"""Tables to frozen values, strictly: the one place where what a person wrote is checked.

A dataclass is its own schema. Its annotations say what is allowed: `bool`, `int`, `float`, `str`,
`Literal`, `tuple`, `Mapping[str, T]`, unions, nested dataclasses, and `msgspec.Meta` in `Annotated`
for ranges, lengths and patterns. What relates fields to each other is checked in `__post_init__`.
"""

from edgeprep.schema.annotations import Rest, fields
from edgeprep.schema.document import json_schema
from edgeprep.schema.messages import join, name_first, nearest, nearest_or_all, show
from edgeprep.schema.read import build
from edgeprep.schema.write import to_table

__all__ = [
    "Rest",
    "build",
    "fields",
    "join",
    "json_schema",
    "name_first",
    "nearest",
    "nearest_or_all",
    "show",
    "to_table",
]
