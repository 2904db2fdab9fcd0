"""What is wrong with a log of `stockhelm route`: an auditor that knows only the files.

It imports nothing of the product and nothing but the standard library, so that a mistake of the
planner cannot hide in code that both share. It reads the map, the scenario with its tasks, and the
log, drives every robot along the log and tells what cannot be:

    python -m tests.fleet_audit --map F.map --scenario F run.jsonl

What it holds against a log:

- the header fits map and scenario, and the last line fits what stands between;
- steps follow one another; each has one legal action per robot; nobody leaves the map or enters a
  wall; nobody shares a cell or swaps with another; no ring of robots turns (where forbidden);
- ticks (`ticks_per_action` in the header): an action takes at least that long, and meanwhile its
  robot holds the left and the entered cell;
- a task is assigned before it is worked on, to one robot at a time, never after its first errand
  to another; its errands are done in order, once, by that robot, on their cells, and as soon as
  the robot stands there; nobody gets a task that is not revealed yet, or not theirs;
- where asked: everything is done at the end (a drain run), some errand ends every so many steps,
  no robot and no task waits for longer than a limit.

What happens stands in the log in the order in which it happens: what is written after a step line
happened where that step led to.
"""
