"""`assert_never`, which closes every match on a union, for each Python that we run on."""

import sys

if sys.version_info >= (3, 11):
    from typing import assert_never
else:
    from typing_extensions import assert_never

__all__ = ["assert_never"]
