"""Row: one line of the table, as both engines are asked for it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """What is measured on both sides, and against which goal.

    Attributes:
        name: `group/...`; `--rows` selects by it.
        operation: a name in every engine's OPERATIONS, or in `processes.MEASURES`.
        options: its keyword arguments.
        flops, bytes: one call's floating-point operations; what it must at least read and write.
        goal: the opponent's time divided by npdl's is to be at least this.
        opponent: the engine on the other side, "torch" or "sklearn"; None: npdl alone.
        against: the opponent's operation where it has another name.
        unit: of what is measured: "s", "B" or "x".
        weight: share of time beside other rows.
        quick: whether `--quick` measures it.
    """

    name: str
    operation: str
    options: dict[str, Any] = field(default_factory=dict)
    flops: float | None = None
    bytes: float | None = None
    goal: float | None = None
    opponent: str | None = "torch"
    against: str | None = None
    unit: str = "s"
    weight: float = 1.0
    quick: bool = False

    @property
    def group(self) -> str:
        """The first part of the name."""
        return self.name.split("/")[0]
