"""Machine code for kernels on the CPU (replay.py): it is made quickly and runs for milliseconds.

Numba optimizes every function and makes machine code of it, then does both again within each function that calls it,
at LLVM's highest level. Here that is done once, for what Python calls, and at a lower one. It takes a third of the time
and changes no result: nothing lets LLVM reorder floating-point operations.
"""

import contextlib
import functools

from numba.core import codegen, config, registry
from numba.core.compiler_lock import global_compiler_lock

OPTIMIZATION = 1
"""LLVM's level, of 3."""


class _Library(codegen.JITCodeLibrary):
    """Compiled functions; machine code is made of them when an address is asked for."""

    _translated = False

    def _optimize_functions(self, module):
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self):
        """Not yet."""

    def _finalize_final_module(self):
        if self._object_caching_enabled and self._compiled_object is not None:  # from a file: nothing is left to do
            self._translated = True
            super()._finalize_final_module()
            return
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name):
        """Of the machine code; 0 where there is no such function."""
        if not self._translated:
            try:
                self._final_module.get_function(name)
            except NameError:
                return 0
            self._translated = True
            self._get_module_for_linking()  # as it is; what follows makes it this one function's alone
            for function in self._final_module.functions:
                if function.name != name and not function.is_declaration:
                    function.linkage = "internal"
            super()._optimize_final_module()
            super()._finalize_final_module()
        return super().get_pointer_to_function(name)


class _Generator(codegen.JITCPUCodegen):
    _library_class = _Library

    def _customize_tm_options(self, options):
        super()._customize_tm_options(options)
        options["opt"] = OPTIMIZATION

    def set_env(self, env_name, env):
        """What Python calls has an environment; a function without machine code has no place for one."""
        if self._engine.get_global_value_address(env_name):
            super().set_env(env_name, env)


@functools.cache
def _generator():
    return _Generator("npdl.kernels")


@contextlib.contextmanager
def quick():
    """A context in which Numba compiles so, this thread alone."""
    context = registry.cpu_target.target_context
    with global_compiler_lock:
        usual = config.OPT, context._internal_codegen
        config.OPT, context._internal_codegen = type(config.OPT)(OPTIMIZATION), _generator()
        try:
            yield
        finally:
            config.OPT, context._internal_codegen = usual
