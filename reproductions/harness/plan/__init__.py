"""What is missing, what of the records counts, and what it costs."""
