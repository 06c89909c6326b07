"""What a GPU has an instruction for and Numba no name: the built-in device functions of npdl/kernels/cuda/wide.py.

Numba never reads or writes more than one number by an instruction, for nothing tells it that an address is a multiple
of 16. These say so, and that it lies in global memory: ld.global.v4.f32, st.global.v4.f32.
"""

import functools


@functools.cache
def of(name):
    """The intrinsic of a built-in device function.

    Args:
        name: the function's.
    """
    from llvmlite import ir  # heavy, and numba.cuda.extending is an extra's
    from numba import types
    from numba.cuda.extending import intrinsic

    four = ir.VectorType(ir.FloatType(), 4)

    def number(k):
        return ir.Constant(ir.IntType(32), k)

    def place(builder, x, i):
        """The address of x[i : i + 4]."""
        there = builder.addrspacecast(builder.gep(x, [i]), ir.PointerType(ir.FloatType(), 1), "global")
        return builder.bitcast(there, ir.PointerType(four, 1))

    def elements(context, builder, kind, array):
        """The addresses of a local array's numbers."""
        start = context.make_array(kind)(context, builder, array).data
        return [builder.gep(start, [number(k)]) for k in range(4)]

    def load4(typing, x, i, to):
        def generate(context, builder, signature, arguments):
            x, i, to = arguments
            found = builder.load(place(builder, x, i), align=16)
            for k, address in enumerate(elements(context, builder, signature.args[2], to)):
                builder.store(builder.extract_element(found, number(k)), address)
            return context.get_dummy_value()

        return types.void(x, types.int64, to), generate

    def store4(typing, x, i, numbers):
        def generate(context, builder, signature, arguments):
            x, i, numbers = arguments
            made = ir.Constant(four, ir.Undefined)
            for k, address in enumerate(elements(context, builder, signature.args[2], numbers)):
                made = builder.insert_element(made, builder.load(address), number(k))
            builder.store(made, place(builder, x, i), align=16)
            return context.get_dummy_value()

        return types.void(x, types.int64, numbers), generate

    return intrinsic({"load4": load4, "store4": store4}[name])
