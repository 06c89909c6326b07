"""Both engines do the GPU's rows, here on the processor: what a graph is made of, and what times it."""

import importlib

import pytest

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch

CALLS = {
    "train_graph": {"net": "mlp", "batch": 2},
    "infer_graph": {"net": "mlp", "batch": 2},
    "optimizer": {"name": "adam", "size": 80},
    "launch": {},
    "products_in_graph": {"n": 4, "count": 2},
}


@pytest.fixture
def engine():
    threads, flushed = torch.get_num_threads(), (torch.tensor(1e-40) * 1).item() == 0
    yield importlib.import_module("benchmarks.engines.torch")
    torch.set_num_threads(threads)
    torch.set_flush_denormal(flushed)
    assert not torch.overrides._get_current_function_mode_stack()  # nothing that slows PyTorch's calls is left behind


@pytest.mark.parametrize("operation", CALLS)
def test_without_a_gpu_the_call_itself_stands_for_its_graph(engine, operation):
    assert engine.use("cpu") is None
    calls = engine.OPERATIONS[operation](**CALLS[operation])
    assert calls and not any("in a graph" in way for way in calls)
    for call in calls.values():
        call()


def test_both_switches_of_tf32(engine):
    switches = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [switch.allow_tf32 for switch in switches]
    with torch.backends.__allow_nonbracketed_mutation():  # PyTorch's own databases of tests freeze the switches
        for on in (True, False):
            engine.set_tf32(on)
            assert [switch.allow_tf32 for switch in switches] == [on, on]
        for switch, was in zip(switches, before, strict=True):
            switch.allow_tf32 = was
