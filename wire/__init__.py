"""What crosses a process border: ids, messages, topics, codec. No I/O, no clock, no threads."""
