"""SQLite's commits: noticed by a look at shared memory, and told by triggers."""
