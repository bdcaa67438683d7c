"""Models: hit ratios as equations under independent references, where every access is drawn from fixed probabilities."""
