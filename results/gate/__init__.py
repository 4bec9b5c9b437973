"""A gate: whether a candidate may take the place of a base, figure by figure, and the forms in which that is told."""
