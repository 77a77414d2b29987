"""The worker, the clock and the embedded all-in-one."""
