"""The step of a layer that draws random numbers, while a training step is noted to be repeated."""


class Counted(int):
    """A whole number that knows whose step it is: what a repetition puts in its place is `now()`.

    Args:
        layer: whose `step` it is.
        first: that step before the training step that is noted.
        ahead: how many draws of that training step come before.
    """

    def __new__(cls, layer, first, ahead=0):
        self = super().__new__(cls, first + ahead)
        self.layer, self.first, self.ahead = layer, first, ahead
        return self

    def __add__(self, more):
        return Counted(self.layer, self.first, self.ahead + more)

    def __sub__(self, less):
        return Counted(self.layer, self.first, self.ahead - less)

    def now(self):
        """The number for a training step that begins now."""
        return self.layer.step + self.ahead
