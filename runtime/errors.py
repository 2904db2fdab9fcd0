"""What keeps a process from starting, whatever part it comes from."""

from __future__ import annotations


class StartError(Exception):
    """A process cannot start; the text says what is wrong, where, and what to do."""
