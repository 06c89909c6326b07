"""Callbacks: what happens beside the training, at fixed moments of `fit`, `evaluate` and `predict`."""

from npdl.callbacks.backup_and_restore import BackupAndRestore
from npdl.callbacks.base import Callback, CallbackList
from npdl.callbacks.checkpoint import ModelCheckpoint
from npdl.callbacks.csv_logger import CSVLogger
from npdl.callbacks.early_stopping import EarlyStopping
from npdl.callbacks.history import History
from npdl.callbacks.lambda_callback import LambdaCallback
from npdl.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from npdl.callbacks.progress import ProgressBar
from npdl.callbacks.scalar_logger import ScalarLogger
from npdl.callbacks.swap_ema_weights import SwapEMAWeights
from npdl.callbacks.tensorboard import TensorBoard
from npdl.callbacks.terminate_on_nan import TerminateOnNaN
from npdl.callbacks.timer import Timer

__all__ = [
    "BackupAndRestore", "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback",
    "LearningRateScheduler", "ModelCheckpoint", "ProgressBar", "ReduceLROnPlateau", "ScalarLogger", "SwapEMAWeights",
    "TensorBoard", "TerminateOnNaN", "Timer",
]  # fmt: skip
