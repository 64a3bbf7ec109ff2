"""What the pool draws from: the samplers of ``webdojo.tasks.sampling``."""

from webdojo.tasks.sampling import AdaptiveSampler, TaskSampler, UniformSampler

__all__ = ["AdaptiveSampler", "TaskSampler", "UniformSampler"]
