"""Comparisons with other caches; `python -m benchmarks` runs all and rewrites the results."""
