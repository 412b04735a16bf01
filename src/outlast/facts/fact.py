"""What every value is made of."""

import sys
from typing import TypeAlias

from msgspec import Struct

if sys.version_info >= (3, 11):
    from typing import dataclass_transform
else:
    from typing_extensions import dataclass_transform


@dataclass_transform(frozen_default=True)
class Fact(Struct, frozen=True, tag=True, gc=False):
    """A frozen value. Its JSON carries the class name as "type"; keys of a newer version are ignored."""


Pairs: TypeAlias = tuple[tuple[str, str], ...]
