"""What methods around any other have in common."""

from torch import Tensor

from nrbench import Clock, Method, State, Step, Weights


class Around(Method):
    """Passes everything on to the method inside, whose state and chance are its own."""

    method: Method
    """What trains the weights."""

    def planned_passes(self) -> float:
        return self.method.planned_passes()

    def passes_at(self, clock: Clock, strength: float = 1.0) -> float:
        return self.method.passes_at(clock, strength)

    def backward(self, step: Step) -> Tensor:
        return self.method.backward(step.within("method"))

    def update(self, step: Step) -> None:
        self.method.update(step.within("method"))

    def evaluation_weights(self, state: State) -> Weights | None:
        return self.method.evaluation_weights(state.within("method"))
