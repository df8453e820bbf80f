"""Numbers from stored arrays, without torch."""
