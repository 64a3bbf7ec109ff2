"""Policy-gradient objectives as small pure functions on tensors.

``config.ObjectiveConfig`` chooses the parts and needs no torch. ``batch.Batch`` describes a batch,
``objective.prepare`` gives each of its tokens an advantage and a weight once, and
``objective.surrogate`` the loss of any part of it; the parts' losses add up to the batch's.
"""
