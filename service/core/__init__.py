"""Clock, errors, ids, JSON and secrets: imports nothing of ours."""
