"""Names as the field writes them: losses, optimizers and models, from the names of classes and functions."""

from __future__ import annotations

LOSSES = {
    "crossentropy": "cross-entropy",
    "softmaxcrossentropy": "cross-entropy",
    "nll": "negative log-likelihood",
    "gaussiannll": "Gaussian negative log-likelihood",
    "poissonnll": "Poisson negative log-likelihood",
    "bce": "binary cross-entropy",
    "bcewithlogits": "binary cross-entropy",
    "binarycrossentropy": "binary cross-entropy",
    "binarycrossentropywithlogits": "binary cross-entropy",
    "mse": "mean squared error",
    "meansquarederror": "mean squared error",
    "l1": "mean absolute error",
    "smoothl1": "smooth L1 loss",
    "huber": "Huber loss",
    "kldiv": "KL divergence",
    "hingeembedding": "hinge loss",
    "multimargin": "multi-class hinge loss",
    "tripletmargin": "triplet margin loss",
    "ctc": "CTC loss",
}
OPTIMIZERS = {
    name.lower(): name
    for name in (
        *("SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "Adafactor", "RMSprop", "Rprop"),
        *("ASGD", "LBFGS", "Muon", "Lion", "SAM", "LAMB", "LARS", "Shampoo", "SOAP"),
    )
}
CONTAINERS = ("Sequential", "Module", "ModuleList", "DataParallel", "DistributedDataParallel", "OptimizedModule", "function", "<lambda>")
"""Classes that say nothing of the network."""


def loss_name(name: str) -> str:
    """The term for a loss, from its class or function; a name that is not known loses its underscores.

    >>> loss_name("cross_entropy"), loss_name("CrossEntropyLoss"), loss_name("MSELoss"), loss_name("my_own_loss")
    ('cross-entropy', 'cross-entropy', 'mean squared error', 'my own loss')
    """
    key = name.replace("_", "").lower().removesuffix("loss")
    if name in ("<lambda>", "function"):
        return "loss"
    return LOSSES.get(key, name.replace("_", " ").strip())


def optimizer_name(name: str) -> str:
    """An optimizer's name in its usual capitals; anything else as it is.

    >>> optimizer_name("sgd"), optimizer_name("ADAMW"), optimizer_name("my run")
    ('SGD', 'AdamW', 'my run')
    """
    return OPTIMIZERS.get(name.lower(), name)


def model_name(name: str) -> str:
    """A network's name, or nothing where the class is only a container.

    >>> model_name("ResNet20"), model_name("Sequential")
    ('ResNet20', '')
    """
    return "" if name in CONTAINERS else name
