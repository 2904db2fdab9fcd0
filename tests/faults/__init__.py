"""Faults that the counts survive: each one seeded, with the exact ledger checked afterwards."""
