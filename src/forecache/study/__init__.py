"""Study: what a trace would give, by replaying it and by calculating."""
