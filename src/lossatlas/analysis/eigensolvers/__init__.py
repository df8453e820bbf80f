"""Eigenvalues, trace and spectral density of any symmetric linear operator."""
