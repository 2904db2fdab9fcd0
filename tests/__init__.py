"""All tests: unit, property, contract, replay, flow and golden."""
