"""What was refused, dropped or changed, and why."""
