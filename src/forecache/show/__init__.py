"""Show: the command line, tables and pictures; it tells what the others found."""
