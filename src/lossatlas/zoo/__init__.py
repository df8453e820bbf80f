"""The sources' data and networks: `datasets` reads MNIST, CIFAR-10 and digits without torch; `networks` and `checkpoints` need it."""
