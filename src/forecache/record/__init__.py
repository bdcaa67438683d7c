"""What was accessed, remembered: logs that are written, and traces that are read, in one schema."""
