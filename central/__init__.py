"""The core: ledger, demand, replenishment, tasks, fleet, and the planners' desk."""
