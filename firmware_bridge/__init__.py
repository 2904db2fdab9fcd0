"""A device's bytes <-> messages: links that reconnect, and a driver per kind of device."""
