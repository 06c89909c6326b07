"""An element of a flat or shared array for kernels on the CPU (replay.py), by one instruction of Numba's each.

Written in Python, x[i] with i's bounds would be five statements for Numba to type and translate, and no kernel has
anything as often.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils, errors
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

OUTSIDE = "index below 0 or beyond the end: a GPU would read or write outside of the array"
MISPLACED = "four numbers at once at an address that is no multiple of 16: a GPU would refuse"


def _element(context, builder, array_type, array, indices):
    """A pointer to array[indices]; in the compiled code an IndexError where there is none."""
    array = context.make_array(array_type)(context, builder, array)
    shape = cgutils.unpack_tuple(builder, array.shape)
    for index, size in zip(indices, shape, strict=True):
        with builder.if_then(builder.icmp_unsigned(">=", index, size), likely=False):  # below 0 is large then
            context.call_conv.return_user_exc(builder, IndexError, (OUTSIDE,))
    strides = cgutils.unpack_tuple(builder, array.strides)
    return cgutils.get_item_pointer2(
        context, builder, array.data, shape, strides, array_type.layout, indices, wraparound=False, boundscheck=False
    )


def _demand_whole(indices):
    """Numba would cut a number that is not whole; for a GPU it compiles no such index."""
    for index in indices:
        if not isinstance(index, types.Integer | types.Boolean):
            raise errors.TypingError(f"an index must be a whole number, got {index}; a GPU takes no other")


def _load(array, *indices):
    """The signature and the code of array[indices]."""
    _demand_whole(indices)
    signature = array.dtype(array, *(types.intp for _ in indices))

    def code(context, builder, signature, given):
        pointer = _element(context, builder, signature.args[0], given[0], given[1:])
        return context.unpack_value(builder, signature.return_type, pointer)

    return signature, code


def _store(array, *indices):
    """The signature and the code of array[indices] = value."""
    _demand_whole(indices)
    signature = types.void(array, *(types.intp for _ in indices), array.dtype)

    def code(context, builder, signature, given):
        pointer = _element(context, builder, signature.args[0], given[0], given[1:-1])
        context.pack_value(builder, signature.args[0].dtype, given[-1], pointer)
        return context.get_dummy_value()

    return signature, code


@intrinsic
def load_1(typing, x, i):
    """x[i]"""
    return _load(x, i)


@intrinsic
def load_2(typing, x, i, j):
    """x[i, j]"""
    return _load(x, i, j)


@intrinsic
def store_1(typing, x, i, value):
    """x[i] = value"""
    return _store(x, i)


@intrinsic
def store_2(typing, x, i, j, value):
    """x[i, j] = value"""
    return _store(x, i, j)


@intrinsic
def at_16_bytes(typing, x, i):
    """ValueError where x[i] does not lie at a multiple of 16 bytes; x is flat."""

    def code(context, builder, signature, given):
        array = context.make_array(signature.args[0])(context, builder, given[0])
        pointer = builder.gep(array.data, [given[1]])
        lowest = builder.and_(builder.ptrtoint(pointer, cgutils.intp_t), cgutils.intp_t(15))
        with builder.if_then(builder.icmp_unsigned("!=", lowest, cgutils.intp_t(0)), likely=False):
            context.call_conv.return_user_exc(builder, ValueError, (MISPLACED,))
        return context.get_dummy_value()

    return types.void(x, types.intp), code


@intrinsic
def own_array(typing, count, value):
    """A thread's own array of `count` numbers, each of them `value`; count is known when it is compiled."""
    if not isinstance(count, types.IntegerLiteral):
        return None  # Numba asks again with what it is
    made = types.Array(value, 1, "C")

    def code(context, builder, signature, given):
        size = count.literal_value
        numbers = cgutils.alloca_once(builder, ir.ArrayType(context.get_value_type(value), size))
        for k in range(size):
            builder.store(given[1], cgutils.gep(builder, numbers, 0, k))
        array = context.make_array(made)(context, builder)
        width = cgutils.intp_t(context.get_abi_sizeof(context.get_value_type(value)))
        populate_array(
            array, data=cgutils.gep(builder, numbers, 0, 0), shape=[cgutils.intp_t(size)], strides=[width],
            itemsize=width, meminfo=None,
        )  # fmt: skip
        return array._getvalue()

    return made(count, value), code


LOADS, STORES = {1: load_1, 2: load_2}, {1: store_1, 2: store_2}
"""By the number of indices."""
