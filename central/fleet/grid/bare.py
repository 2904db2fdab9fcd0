"""Arrays without reference counts, for kernels that pass arrays to helpers in their inner loops.

A compiled helper counts references of every array it is given, with atomic instructions: here that
took six times as long as the work itself. The caller of the outermost kernel holds the arrays, so
inside nothing needs counting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba.core import cgutils
from numba.extending import intrinsic

A = TypeVar("A")
NULL_OF: Callable[[Any], Any] = cast("Any", cgutils).get_null_value


@intrinsic
def _bare(_context: Any, array: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        made = context.make_array(signature.return_type)(context, builder, value=arguments[0])
        made.meminfo = NULL_OF(made.meminfo.type)
        made.parent = NULL_OF(made.parent.type)
        return made._getvalue()

    return array(array), generate


bare: Callable[[A], A] = cast("Any", _bare)
"""Return the same array, uncounted: only valid while somebody else holds it."""
