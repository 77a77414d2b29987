"""Third parties that take many messages in one call."""
