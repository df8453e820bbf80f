"""Loss landscapes in input space: the sample moves, the weights stay."""
