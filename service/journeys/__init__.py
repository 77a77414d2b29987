"""Journey definitions, the planner, instances and step events."""
