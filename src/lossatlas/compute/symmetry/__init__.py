"""Weight-space symmetries: neuron groups, scale balancing and weight matching."""
