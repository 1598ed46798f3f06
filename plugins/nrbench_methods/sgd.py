"""Plain stochastic gradient descent."""

from typing import Literal

from torch import Tensor

from nrbench import Method, Step


class SGD(Method):
    """The gradient at the weights themselves: the baseline."""

    name: Literal["sgd"] = "sgd"

    def backward(self, step: Step) -> Tensor:
        return step.backward()
