"""Drivers of robots on serial lines (robots on the network speak VDA 5050 with central's fleet)."""
