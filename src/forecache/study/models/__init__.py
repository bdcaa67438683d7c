"""Models: hit ratios as equations, under independent references: each access is drawn from fixed probabilities."""
