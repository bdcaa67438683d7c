"""What can be promised of a copy: levels, certificates, and how a process learns that a database changed."""
