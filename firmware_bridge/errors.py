"""What can go wrong between us and a device, by what the caller can do about it.

BridgeError
+-- LinkOpenError       absent, busy, refused settings: retry with a growing delay
+-- LinkLostError       went away while open: reconnect, say again what was not acknowledged
+-- DeviceRefusedError  the device said no: do not retry, tell a person
"""

from __future__ import annotations


class BridgeError(Exception):
    """Something is wrong between us and a device; the text says which, what and what to do."""


class LinkOpenError(BridgeError):
    """The device is not reached: absent, busy, or it refused the settings."""


class LinkLostError(BridgeError):
    """The device went away while it was open."""


class DeviceRefusedError(BridgeError):
    """The device understood and said no."""
