"""The kernels of recurrent layers' gates: a thread for each unit of each sample, forward and back."""

from npdl.kernels.cuda.cells.cell import arrive
from npdl.kernels.cuda.cells.gru import candidate_back, candidate_step, gru_back, gru_step, reset_back, reset_step
from npdl.kernels.cuda.cells.lstm import lstm_back, lstm_step
from npdl.kernels.cuda.cells.simple import simple_back, simple_step

__all__ = [
    "arrive", "candidate_back", "candidate_step", "gru_back", "gru_step", "lstm_back", "lstm_step", "reset_back",
    "reset_step", "simple_back", "simple_step",
]  # fmt: skip
