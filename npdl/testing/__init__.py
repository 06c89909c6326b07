"""Checks of your own layers and losses (and of ours): is the backward the gradient of the forward?

    from npdl import testing
    testing.check_layer(MyLayer(3), input_shape=(4,))               # all that a layer promises; raises if not
    print(testing.gradient_check(layer, x))                         # its gradients alone, on your own x
    print(testing.loss_check(MyLoss(), y_true, y_pred))             # a loss
    print(model.gradient_check(X, y))                               # a whole model on your own data

Each gradient is compared with central differences in float64; the report names the worst entries by layer and index.
"""

from npdl.testing.chain import check_chain, copy_of, float64_copies, nudge_array
from npdl.testing.contract import check_layer
from npdl.testing.custom import Views, demand_arguments
from npdl.testing.differences import Tensor, compare
from npdl.testing.gradients import gradient_check, loss_check
from npdl.testing.report import Entry, GradientError, Report

__all__ = [
    "Entry", "GradientError", "Report", "Tensor", "Views", "check_chain", "check_layer", "compare", "copy_of",
    "demand_arguments", "float64_copies", "gradient_check", "loss_check", "nudge_array",
]  # fmt: skip
