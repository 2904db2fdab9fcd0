"""The command `stockhelm`: the only place that puts processes together."""

from typing import Final

VERSION: Final = "0.1.0"
