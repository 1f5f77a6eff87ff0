"""What faulty backends import when they are constructed, as engines' heavy libraries are."""

import os

from faulty_backends import commit

commit(os.environ.get("FAULT_AT_IMPORT", ""))
