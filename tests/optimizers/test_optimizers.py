"""Optimizers: their arguments, a step on a model, state kept and moved, configuration and names."""

import copy
import json
import pickle
import re
import types

import numpy as np
import pytest

import npdl
from npdl import devices, optimizers
from npdl.layers import Dense
from npdl.optimizers import (
    ASGD,
    SGD,
    SWA,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Ftrl,
    Lamb,
    Lion,
    Lookahead,
    Muon,
    Nadam,
    Optimizer,
    RAdam,
    RMSprop,
    Rprop,
    ScheduleFreeAdamW,
)
from npdl.params import ParamStore

ALL = (
    lambda **k: SGD(0.1, **k),
    lambda **k: SGD(0.1, momentum=0.9, **k),
    lambda **k: SGD(0.1, momentum=0.9, nesterov=True, **k),
    lambda **k: SGD(0.1, momentum=0.9, dampening=0.3, **k),
    lambda **k: ASGD(0.1, lambd=0.0, t0=1, **k),
    lambda **k: Adam(0.01, **k),
    lambda **k: AdamW(0.01, **k),
    lambda **k: RMSprop(0.01, **k),
    lambda **k: RMSprop(0.01, momentum=0.9, centered=True, **k),
    lambda **k: Adam(0.01, amsgrad=True, decoupled_weight_decay=True, **k),
    lambda **k: Adamax(0.01, **k),
    lambda **k: Nadam(0.01, **k),
    lambda **k: RAdam(0.01, beta_2=0.8, **k),
    lambda **k: Lion(0.01, **k),
    lambda **k: Adagrad(0.01, **k),
    lambda **k: Adadelta(1.0, **k),
    lambda **k: Ftrl(0.1, **k),
    lambda **k: ScheduleFreeAdamW(0.01, beta_1=0.8, **k),
    lambda **k: Rprop(0.01, **k),
    lambda **k: Lamb(0.01, **k),
    lambda **k: Adafactor(0.01, **k),
    lambda **k: Muon(0.01, exclude_layers=["second"], **k),
    lambda **k: SGD(0.1, momentum=0.9, global_clipnorm=3.0, use_ema=True, **k),
    lambda **k: Adam(0.01, clipnorm=1.0, use_ema=True, ema_overwrite_frequency=3, **k),
    lambda **k: SGD(0.1, clipvalue=0.5, **k),
    lambda name=None, **k: Lookahead(Adam(0.01, **k), 2, name=name),
    lambda name=None, **k: SWA(SGD(0.1, momentum=0.9, **k), 1, 2, name=name),
)
STAYING = tuple(make for make in ALL if not isinstance(make(), Ftrl))
"""What leaves weights alone that have no gradient and do not decay; Ftrl makes them 0 in its first step."""


def make_model(dtype="float32", device="cpu", seed=0):
    """What an optimizer sees of a model: two layers on one store."""
    layers = [Dense(7, name="first"), Dense(3, name="second", bias_initializer="ones")]
    layers[0].build_once((5,))
    layers[1].build_once((7,))
    store = ParamStore(layers, devices.get(device), dtype, seed).initialize()
    return types.SimpleNamespace(layers=layers, store=store)


def train(model, optimizer, steps, seed=1):
    """Steps on gradients that follow from the weights and from the number of the step."""
    store = model.store
    per_update = optimizer.gradient_accumulation_steps or 1
    start = optimizer.iterations * per_update + optimizer.accumulated[0]
    for step in range(start, start + steps):
        noise = np.random.default_rng((seed, step)).standard_normal(store.data.shape)
        g = store.device.to_host(store.data) + noise
        for weight in store.weights:
            part = g[weight.start : weight.stop].reshape(weight.shape).astype(store.dtype)
            store.device.write(weight.layer.grads[weight.name], part)
        optimizer.step(model)
    return store.device.to_host(store.data).copy()


def adds_up(optimizer):
    """Whether it sums over tensors, which the reference does in another order."""
    return isinstance(optimizer, (Lamb, Adafactor, Muon)) or optimizer.clipnorm or optimizer.global_clipnorm


# ---- arguments


def test_defaults_are_keras_own():
    assert SGD().get_config() == {
        "learning_rate": 0.01, "momentum": 0.0, "nesterov": False, "weight_decay": None, "name": "SGD",
    }  # fmt: skip
    adam = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False}
    assert Adam().get_config() == {**adam, "weight_decay": None, "name": "adam"}
    assert AdamW().get_config() == {**adam, "weight_decay": 0.004, "name": "adamw"}
    assert RMSprop().get_config() == {
        "learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False, "weight_decay": None,
        "name": "rmsprop",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("make", "error", "message"),
    (
        (
            lambda: SGD(-0.1),
            ValueError,
            r"SGD: learning_rate must be at least 0 and a finite number, got -0.1; pass e.g.",
        ),
        (lambda: Adam(float("nan")), ValueError, "Adam: learning_rate must be .* got nan"),
        (lambda: Adam(float("inf")), ValueError, "Adam: learning_rate must be .* got inf"),
        (
            lambda: Adam("0.1"),
            TypeError,
            r"Adam: learning_rate must be a number or an object of npdl.schedules, got '0.1'; pass e.g.",
        ),
        (lambda: Adam(lambda step: 0.1), TypeError, "Adam: learning_rate must be a number or .*, got <function"),
        (lambda: Adam(True), TypeError, "Adam: learning_rate must be a number or .*, got True"),
        (lambda: SGD(momentum=1.0), ValueError, "SGD: momentum must be at least 0 and less than 1, got 1.0; .*=0.9"),
        (lambda: SGD(dampening=0.5), ValueError, r"SGD: dampening=0.5 needs momentum and no nesterov, .*; leave"),
        (lambda: SGD(momentum=0.9, dampening=1), ValueError, "SGD: dampening must be .* less than 1, got 1"),
        (lambda: ASGD(t0=-1), ValueError, "ASGD: t0 must be at least 0 .* got -1"),
        (lambda: SGD(momentum=-0.5), ValueError, "SGD: momentum must be .* got -0.5"),
        (
            lambda: SGD(nesterov=True),
            ValueError,
            "SGD: nesterov=True needs momentum, got momentum=0; pass e.g. momentum",
        ),
        (lambda: SGD(weight_decay=-1), ValueError, "SGD: weight_decay must be at least 0"),
        (lambda: Adam(beta_1=1.0), ValueError, "Adam: beta_1 must be at least 0 and less than 1, got 1.0"),
        (lambda: AdamW(beta_2=1.5), ValueError, "AdamW: beta_2 must be at least 0 and less than 1, got 1.5"),
        (lambda: Adam(epsilon=-1e-7), ValueError, "Adam: epsilon must be at least 0"),
        (lambda: AdamW(weight_decay=None), ValueError, "AdamW: weight_decay must be a number, got None; .* use Adam"),
        (lambda: RMSprop(rho=1), ValueError, "RMSprop: rho must be at least 0 and less than 1, got 1"),
        (lambda: RMSprop(momentum=2), ValueError, "RMSprop: momentum must be"),
        (lambda: SGD(amsgrad=True), ValueError, "SGD: npdl does not have amsgrad, got amsgrad=True; leave it out"),
        (lambda: Adam(loss_scale_factor=2.0), ValueError, "Adam: npdl does not have loss_scale_factor"),
        (lambda: SGD(clipnorm=-1.0), ValueError, "SGD: clipnorm must be at least 0 .*, got -1.0; pass e.g. clipnorm=1"),
        (lambda: SGD(clipvalue=0), ValueError, "SGD: clipvalue must be more than 0, got 0"),
        (
            lambda: Adam(clipnorm=1, clipvalue=2),
            ValueError,
            "Adam: gradients are clipped in one way, got {'clipnorm': 1.0, 'clipvalue': 2.0}; pass one of them",
        ),
        (lambda: Adam(ema_momentum=1.5), ValueError, "Adam: ema_momentum must be"),
        (
            lambda: Adam(ema_overwrite_frequency=0),
            ValueError,
            "Adam: ema_overwrite_frequency must be None or a whole number of at least 1, got 0; pass e.g.",
        ),
        (
            lambda: Adam(gradient_accumulation_steps=1),
            ValueError,
            "Adam: gradient_accumulation_steps must be None or a whole number of at least 2, got 1; pass e.g.",
        ),
        (lambda: Rprop(etas=(1.1, 1.2)), ValueError, r"Rprop: etas must be \(below 1, above 1\), got \(1.1, 1.2\)"),
        (lambda: Rprop(step_sizes=(2, 1)), ValueError, r"Rprop: step_sizes must be \(smallest, largest\), got"),
        (lambda: Adafactor(beta_2_decay=0.8), ValueError, "Adafactor: beta_2_decay must be at most 0, got 0.8"),
        (lambda: Adafactor(clip_threshold=0), ValueError, "Adafactor: clip_threshold must be more than 0"),
        (lambda: Muon(ns_steps=0), ValueError, "Muon: ns_steps must be a whole number from 1 to 99, got 0"),
        (lambda: Adam(lr=0.1), TypeError, "Adam has no argument 'lr'; did you mean 'learning_rate'"),
        (
            lambda: Adam(learnin_rate=0.1),
            TypeError,
            r"Adam has no argument 'learnin_rate'; did you mean 'learning_rate'\?",
        ),
    ),
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_keras_defaults_of_what_npdl_has_not_are_accepted():
    SGD(clipnorm=None, clipvalue=None, global_clipnorm=None, use_ema=False, ema_momentum=0.99, amsgrad=False)
    Adam(ema_overwrite_frequency=None, loss_scale_factor=None, gradient_accumulation_steps=None)


def test_learning_rate_is_read_at_each_step_and_checked():
    model, optimizer = make_model(), SGD(np.float32(0.5))
    model.store.grad[...] = 1
    before = model.store.data.copy()
    optimizer.step(model)
    optimizer.learning_rate = 0.25
    optimizer.step(model)
    for weight in model.store.weights:
        part = slice(weight.start, weight.stop)
        np.testing.assert_allclose(model.store.data[part], before[part] - 0.75, atol=1e-6)
    assert type(optimizer.learning_rate) is float and type(SGD(np.float64(0.1)).learning_rate) is float
    with pytest.raises(ValueError, match="SGD: learning_rate must be at least 0"):
        optimizer.learning_rate = -1
    assert optimizer.learning_rate == 0.25


@pytest.mark.parametrize("make", [make for make in ALL if not isinstance(make(), Rprop)])  # there it is a first step
def test_learning_rate_zero(make):
    model, optimizer = make_model(), make(weight_decay=0.1)
    optimizer.learning_rate = 0
    before = model.store.data.copy()
    rounding = 1e-6 if optimizer.ema_overwrite_frequency else 0
    np.testing.assert_allclose(train(model, optimizer, 4), before, rtol=rounding)
    assert optimizer.iterations == 4 // (optimizer.gradient_accumulation_steps or 1)


# ---- a step


@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize("make", ALL)
def test_a_step_on_every_device_and_any_number_of_threads(make, dtype):
    results, sums = [], adds_up(make())
    for device in ("cpu", "reference", "strict"):
        for threads in (1, 2, 3):
            npdl.set_num_threads(threads)
            model, optimizer = make_model(dtype, device), make(weight_decay=0.01)
            results.append(train(model, optimizer, 5))
            assert optimizer.iterations == 5 and model.store.version >= 5
            assert all(state.dtype == dtype for state in optimizer.state.values())
            assert set(optimizer.state) - {"average"} == set(optimizer.slots())
    assert results[0].dtype == dtype
    for place, result in enumerate(results):
        if place in (3, 4, 5) and sums:  # the reference adds in another order
            np.testing.assert_allclose(result, results[0], rtol=200 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)
        else:
            np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("make", ALL)
def test_gaps_between_tensors_stay_zero(make):
    model, optimizer = make_model(), make()
    train(model, optimizer, 3)
    used = np.zeros(model.store.data.shape, bool)
    for weight in model.store.weights:
        used[weight.start : weight.stop] = True
    assert not used.all()
    for array in (model.store.data, *optimizer.state.values()):
        assert len(array) != len(used) or (array[~used] == 0).all()


@pytest.mark.parametrize("make", ALL)
def test_frozen_layers_keep_their_weights_and_can_thaw(make):
    model, optimizer = make_model(), make(weight_decay=0.1)
    first, second = model.layers
    train(model, optimizer, 2)
    first.trainable = False
    kernel, other = first.params["kernel"].copy(), second.params["kernel"].copy()
    size = len(optimizer.state["factors"]) // 2 if isinstance(optimizer, Adafactor) else first.params["kernel"].size
    state = {name: array[:size].copy() for name, array in optimizer.state.items()}
    train(model, optimizer, 2)
    np.testing.assert_array_equal(first.params["kernel"], kernel)
    for name, array in state.items():
        np.testing.assert_array_equal(optimizer.state[name][: array.size], array)
    assert (second.params["kernel"] != other).mean() > 0.5  # Rprop's weights pause where the sign turns
    first.trainable = True
    train(model, optimizer, 1)
    assert (first.params["kernel"] != kernel).mean() > 0.5


def test_a_model_without_weights():
    model = types.SimpleNamespace(store=ParamStore([], devices.get("cpu"), "float32", 0).initialize())
    optimizer = Adam()
    optimizer.step(model)
    assert optimizer.iterations == 1


def test_a_layer_alone():
    layer, optimizer = Dense(2, use_bias=False).init((1,), seed=0), SGD(0.5)
    layer.params["kernel"][...], layer.grads["kernel"][...] = 1, 2
    optimizer.step(layer)
    assert layer.params["kernel"].tolist() == [[0, 0]]


def test_a_model_that_is_not_built():
    with pytest.raises(
        ValueError, match=r"Adam.step needs a built model, got Dense\(.*; call model.build\(shape of one"
    ):
        Adam().step(Dense(2))


def test_an_optimizer_serves_one_model():
    optimizer = Adam()
    train(make_model(), optimizer, 1)
    other = make_model()
    before = other.store.data.copy()
    with pytest.raises(ValueError, match=r"this Adam already holds the state of another model.*make a new one"):
        optimizer.step(other)
    np.testing.assert_array_equal(other.store.data, before)
    assert optimizer.iterations == 1


@pytest.mark.parametrize("make", ALL)
def test_the_state_follows_the_model_to_another_device(make):
    stays, moves = make_model(), make_model()
    one, two = make(), make()
    train(stays, one, 2)
    train(moves, two, 2)
    for device in ("strict", "reference", "cpu"):
        moves.store.to(devices.get(device))
        train(moves, two, 1)
    compare = np.testing.assert_allclose if adds_up(one) else np.testing.assert_array_equal
    compare(train(moves, two, 1), train(stays, one, 4), **({"rtol": 2e-5, "atol": 1e-6} if adds_up(one) else {}))


# ---- weight decay


def decayed(optimizer):
    """The paths of the weights that change without a gradient."""
    model = make_model()
    for weight in model.store.weights:
        model.store.assign(weight, np.ones(weight.shape))
    optimizer.step(model)
    return {weight.path for weight in model.store.weights if (model.store.values(weight) != 1).all()}


PATHS = {"first/kernel", "first/bias", "second/kernel", "second/bias"}


@pytest.mark.parametrize("make", STAYING)
def test_everything_decays_unless_excluded(make):
    assert decayed(make(weight_decay=0.1)) == PATHS
    for names, left in ((["bias"], {"first/bias", "second/bias"}), (["^first/", "d/b"], PATHS - {"second/kernel"})):
        optimizer = make(weight_decay=0.1)
        optimizer.exclude_from_weight_decay(var_names=names)
        assert decayed(optimizer) == PATHS - left


def test_no_decay_by_default():
    assert decayed(Adam()) == decayed(SGD()) == decayed(AdamW(weight_decay=0)) == set()
    assert decayed(AdamW()) == PATHS


def test_weights_are_excluded_by_themselves_and_the_last_call_counts():
    model, optimizer = make_model(), AdamW()
    optimizer.exclude_from_weight_decay(var_names=["kernel"])
    optimizer.exclude_from_weight_decay(var_list=[w for w in model.store.weights if w.path == "second/bias"])
    assert decayed(optimizer) == PATHS - {"second/bias"}
    optimizer = AdamW()
    optimizer.exclude_from_weight_decay(var_names=["kernel"])
    optimizer.exclude_from_weight_decay()
    assert decayed(optimizer) == PATHS


def test_exclusion_during_training():
    model, optimizer = make_model(), SGD(0.1, weight_decay=0.5)
    optimizer.step(model)
    kernel = model.layers[0].params["kernel"].copy()
    optimizer.exclude_from_weight_decay(var_names=["first/kernel"])
    optimizer.step(model)
    np.testing.assert_array_equal(model.layers[0].params["kernel"], kernel)


def test_bad_exclusions():
    optimizer = AdamW()
    with pytest.raises(
        TypeError, match=r"var_names must be a list of str, got 'bias'; pass e.g. var_names=\[\"bias\"\]"
    ):
        optimizer.exclude_from_weight_decay(var_names="bias")
    with pytest.raises(
        TypeError, match=r"var_list must be a list of Weight, got .*; pass e.g. var_list=model.store.weights"
    ):
        optimizer.exclude_from_weight_decay(var_list=["bias"])
    with pytest.raises(ValueError, match=re.escape("'(' is not a regular expression")):
        optimizer.exclude_from_weight_decay(var_names=["("])


# ---- state


@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize("make", ALL)
def test_resumed_equals_uninterrupted(make, dtype):
    whole, optimizer = make_model(dtype), make()
    train(whole, optimizer, 4)
    weights, (scalars, arrays) = whole.store.data.copy(), optimizer.get_state()
    config = optimizer.get_config()
    wanted = train(whole, optimizer, 3)
    assert scalars["iterations"] == 4 and all(type(array) is np.ndarray for array in arrays.values())

    for resumed in (type(optimizer).from_config(config), optimizer):  # a new one, and this one back in time
        model = make_model(dtype, seed=9) if resumed is not optimizer else whole
        model.store.data[...] = weights
        resumed.set_state(scalars, arrays)
        assert resumed.iterations == 4
        np.testing.assert_array_equal(train(model, resumed, 3), wanted)


@pytest.mark.parametrize(
    "duplicate", (copy.copy, copy.deepcopy, lambda optimizer: pickle.loads(pickle.dumps(optimizer)))
)
def test_a_copy_goes_on_with_another_model(duplicate):
    model, optimizer = make_model(), Adam(0.01)
    train(model, optimizer, 2)
    twin = make_model()
    twin.store.data[...] = model.store.data
    copied = duplicate(optimizer)
    wanted = train(model, optimizer, 2)
    np.testing.assert_array_equal(train(twin, copied, 2), wanted)


def test_state_before_the_first_step():
    assert Adam().get_state() == ({"iterations": 0}, {})
    optimizer = Adam()
    optimizer.set_state({"iterations": 0}, {})
    train(make_model(), optimizer, 1)


@pytest.mark.parametrize("make", (lambda: SGD(0.1, momentum=0.9), lambda: RMSprop(0.01, momentum=0.9)))
def test_momentum_switched_off_and_on(make):
    model, optimizer = make_model(), make()
    train(model, optimizer, 2)
    optimizer.momentum = 0.0
    for _ in range(2):  # before and after a step without momentum
        scalars, arrays = optimizer.get_state()
        assert list(arrays) == list(optimizer.slots()) and "velocity" not in arrays
        resumed = type(optimizer).from_config(optimizer.get_config())
        resumed.set_state(scalars, arrays)
        train(model, optimizer, 1)
    optimizer.momentum = 0.9
    scalars, arrays = optimizer.get_state()
    assert (arrays["velocity"] == 0).all()
    resumed, twin = type(optimizer).from_config(optimizer.get_config()), make_model()
    twin.store.data[...] = model.store.data
    resumed.set_state(scalars, arrays)
    np.testing.assert_array_equal(train(twin, resumed, 2), train(model, optimizer, 2))


def test_state_stays_with_its_weights():
    model, optimizer = make_model(), Adam()
    train(model, optimizer, 1)
    scalars, arrays = optimizer.get_state()
    assert scalars["weights"] == [
        ["first/kernel", 5, 7],
        ["first/bias", 7],
        ["second/kernel", 7, 3],
        ["second/bias", 3],
    ]
    scalars = json.loads(json.dumps(scalars))
    other, same_names, twin = make_model(), make_model(), make_model()
    other.layers[1].name = "third"
    for store, refused in ((None, other), (twin.store, same_names)):
        resumed = Adam()
        resumed.set_state(scalars, arrays, store)
        with pytest.raises(ValueError, match=r"this Adam already holds the state of another model, .*make a new one"):
            resumed.step(refused)
        assert resumed.iterations == 1
        resumed.step(twin)
        with pytest.raises(ValueError, match="this Adam already holds the state of another model"):
            resumed.set_state(scalars, arrays, same_names.store)
    with pytest.raises(ValueError, match="this Adam already holds the state of another model"):
        Adam().set_state(scalars, arrays, other.store)


def test_state_that_does_not_fit():
    model, optimizer = make_model(), Adam()
    train(model, optimizer, 1)
    scalars, arrays = optimizer.get_state()
    for bad_scalars, bad_arrays, message in (
        ({}, arrays, "Adam: the saved state must hold the number of iterations, and at most .*, got {}"),
        ({"iterations": -1}, arrays, "got {'iterations': -1}"),
        (scalars, {"velocity": arrays["m"]}, r"must hold the arrays \['m', 'v'\] after 1 steps, got \['velocity'\]"),
        (scalars, {"m": arrays["m"][:3], "v": arrays["v"]}, r"'m' is float32 of shape \(3,\), the model's weights are"),
        (
            scalars,
            {"m": arrays["m"], "v": arrays["v"].astype("float64")},
            "'v' is float64 of shape .*make a new optimizer",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            optimizer.set_state(bad_scalars, bad_arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(optimizer.get_state()[1][name], array)

    optimizer = Adam()
    optimizer.set_state(scalars, arrays)
    with pytest.raises(ValueError, match=r"Adam: the saved state 'm' is float32 .* the model's weights are float64"):
        optimizer.step(make_model("float64"))


# ---- configuration


@pytest.mark.parametrize("make", STAYING)
def test_configuration_makes_an_equal_optimizer(make):
    optimizer = make(weight_decay=0.02, name="mine")
    optimizer.learning_rate = 0.03
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    for other in (
        type(optimizer).from_config(optimizer.get_config()),
        optimizers.get(optimizers.serialize(optimizer)),
    ):
        assert type(other) is type(optimizer) and other.get_config() == optimizer.get_config()
        assert decayed(other) == {"first/kernel", "second/kernel"}
    config = optimizer.get_config()
    assert config.get("optimizer", {"config": config})["config"]["learning_rate"] == 0.03


def test_repr_can_be_pasted_back():
    for text in (
        "SGD(learning_rate=0.01)",
        "SGD(learning_rate=0.1, momentum=0.9, nesterov=True)",
        "Adam(learning_rate=0.001, beta_1=0.8, weight_decay=0.1)",
        "AdamW(learning_rate=0.001)",
        "RMSprop(learning_rate=0.001, rho=0.99, centered=True)",
    ):
        assert repr(eval(text)) == text


def test_get():
    for name, cls in (
        ("sgd", SGD),
        ("SGD", SGD),
        ("adam", Adam),
        ("Adam", Adam),
        ("AdamW", AdamW),
        ("rmsprop", RMSprop),
    ):
        assert type(optimizers.get(name)) is cls
    assert optimizers.get("adam") is not optimizers.get("adam")
    optimizer = SGD(0.5)
    assert optimizers.get(optimizer) is optimizer
    assert optimizers.get({"class_name": "SGD", "config": {"learning_rate": 0.5}}).learning_rate == 0.5
    with pytest.raises(
        ValueError, match=r"unknown optimizer 'adm'; did you mean 'adam'\? there are sgd, adam, adamw, rmsprop"
    ):
        optimizers.get("adm")
    with pytest.raises(ValueError, match="unknown optimizer 'zzz'; there are"):
        optimizers.get("zzz")
    for wrong in (None, 3, Adam, {"config": {}}):
        with pytest.raises(
            TypeError, match=r'optimizer must be a name or an npdl.optimizers object, got .* optimizer="adam"'
        ):
            optimizers.get(wrong)


# ---- an optimizer of one's own


class SignSGD(Optimizer):
    def __init__(self, learning_rate=0.1, name="sign", **keras):
        super().__init__(learning_rate, name=name, **keras)

    def slots(self):
        return ("steps",)

    def update(self, k, p, g, segments):
        for start, stop, scale, _, trainable in segments:
            if trainable:
                part = slice(int(start), int(stop))
                p[part] -= p.dtype.type(self.learning_rate * scale) * np.sign(g[part])
                self.state["steps"][part] += 1


def test_an_optimizer_of_ones_own():
    model, optimizer = make_model(), SignSGD(0.5)
    before = model.layers[1].params["bias"].copy()
    model.layers[1].grads["bias"][...] = [1, -2, 0]
    optimizer.step(model)
    np.testing.assert_array_equal(model.layers[1].params["bias"], before + np.array([-0.5, 0.5, 0], "float32"))
    assert repr(optimizer) == "SignSGD(learning_rate=0.5)" and optimizer.get_state()[0]["iterations"] == 1
    with pytest.raises(NotImplementedError, match=r"Optimizer needs update\(self, k, p, g, segments\)"):
        Optimizer(0.1).step(make_model())
