"""The same work on a Ray cluster: trainings, arms of comparisons, pictures. Every machine sees the same folders."""
