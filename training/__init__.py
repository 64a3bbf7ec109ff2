"""Training: rollouts, objectives, learner, warm start, evaluation and reports."""
