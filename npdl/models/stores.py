"""Stores: the one `ParamStore` that all layers of a model lie in, and share with other models of the same layers."""

from npdl.params import ParamStore


def joined(model):
    """The store of all layers of a model: the one they lie in, or a new one to which they move with their values.

    Layers that lie in the store of one model stay there: a model of some of another's layers shares its weights. Where
    they lie in several, or some in none, all of them move, and with them what else models have there, so that no model
    has its layers in two stores.

    Raises:
        ValueError: they are of another dtype than the model.
    """
    mine = list(model.walk())
    found = list(dict.fromkeys(layer.store for layer in mine if layer.store is not None))
    for store in found:
        if store.joint and store.dtype != model.dtype:
            raise ValueError(
                f"{model.name} works in {model.dtype.name}, and layers that it shares with another model have weights "
                f"in {store.dtype.name}; pass dtype={store.dtype.name!r}"
            )
    whole = len(found) == 1 and found[0].joint and all(layer.store is not None for layer in mine)
    if whole and all(map(is_used, found[0].layers)):
        return found[0]
    known = set(map(id, mine))
    others = [x for store in found for x in store.layers if id(x) not in known and x.store is store and is_used(x)]
    values = [(layer, _values(layer)) for layer in (*mine, *others) if layer.store is not None]
    store = ParamStore(mine, model.device, model.dtype, model.seed, others).initialize()
    store.joint = True
    for layer, arrays in values:
        for array, before in zip(_arrays(layer), arrays, strict=True):
            store.device.write(array, before)
    for old in found:
        old.successor = store
    return store


def is_used(layer):
    """Whether a model holds this layer, in however many containers."""
    while layer.owner is not None:
        layer = layer.owner
    return hasattr(layer, "compile")


def _arrays(layer):
    return *layer.params.values(), *layer.state.values()


def _values(layer):
    return [layer.device.to_host(array).copy() for array in _arrays(layer)]
