"""Speed and memory against other caches; each module names what it measures, `results/` holds what it measured last."""
