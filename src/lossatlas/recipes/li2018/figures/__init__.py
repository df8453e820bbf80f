"""Drawing of the figures of Li et al. 2018."""
