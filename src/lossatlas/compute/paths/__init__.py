"""Training trajectories on planes: principal planes, projection and optimization in the plane."""
