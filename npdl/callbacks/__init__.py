"""Callbacks: what happens beside the training, at fixed moments of `fit`, `evaluate` and `predict`."""

from npdl.callbacks.base import Callback, CallbackList
from npdl.callbacks.checkpoint import ModelCheckpoint
from npdl.callbacks.csv_logger import CSVLogger
from npdl.callbacks.early_stopping import EarlyStopping
from npdl.callbacks.history import History
from npdl.callbacks.lambda_callback import LambdaCallback
from npdl.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from npdl.callbacks.progress import ProgressBar
from npdl.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback", "LearningRateScheduler",
    "ModelCheckpoint", "ProgressBar", "ReduceLROnPlateau", "TerminateOnNaN",
]  # fmt: skip
