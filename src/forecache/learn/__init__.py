"""Learning from recorded accesses: datasets, predictors, model files, evaluation and tuning."""
