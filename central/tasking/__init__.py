"""From orders and approved proposals to tasks for robots, people and drones."""
