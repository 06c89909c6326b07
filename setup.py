"""Build of the compiled kernels; everything else about the package is in pyproject.toml.

Each kernels/_<build>.pyx includes the same code and is compiled once for its instruction set. Which one is used is
decided when the kernels are first called (npdl/kernels/cpu/build.py).

Environment:
    NPDL_NO_KERNELS=1   install without compiled kernels: everything runs on NumPy and Numba, slower
"""

import glob
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError
from setuptools.modified import newer_group

FLAGS = [
    "-O3",
    "-g0",
    "-pthread",
    "-ffp-contract=off",  # a·b + c is rounded twice unless the source says FMA: otherwise compilers differ in bits
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wno-unused-function",
    "-Wno-unknown-pragmas",
]
PARTS = {  # of each module, compiled side by side: see kernels/engine.h
    "cython": ["-DNPDL_PART=0", "-O1"],
    "float32": ["-DNPDL_PART=32"],
    "float64": ["-DNPDL_PART=64"],
}
ARCHITECTURES = {
    "x86_64": {
        "v2": ["-march=x86-64-v2", "-O1"],  # processors older than 2013: half the time to compile
        "v3": ["-march=x86-64-v3"],
        "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
    },
    "aarch64": {"neon": []},
    "other": {"plain": []},
}
NO_COMPILER = """
npdl's kernels could not be compiled: see the compiler's message above.
They need GCC or Clang (Debian and Ubuntu: apt install gcc python3-dev; macOS: xcode-select --install).
To install without them, which works everywhere but is slower: NPDL_NO_KERNELS=1 pip install ...
"""


def machine():
    name = platform.machine().lower()
    return {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64"}.get(name, "other")


class BuildKernels(build_ext):
    """build_ext that asks the compiler what it can do, and compiles on all cores."""

    def finalize_options(self):
        super().finalize_options()
        if self.parallel is None:
            self.parallel = os.cpu_count() or 1

    def build_extensions(self):
        if not hasattr(self.compiler, "compiler_so") or not self.accepts([]):  # MSVC's has none
            raise SystemExit(NO_COMPILER)
        usable = []
        for extension in self.extensions:
            if not self.accepts(extension.extra_compile_args):
                flags = " ".join(extension.extra_compile_args)
                print(f"npdl: {extension.name} is left out, the compiler does not know {flags}", file=sys.stderr)
                continue
            extension.extra_compile_args = [*FLAGS, *extension.extra_compile_args]
            extension.extra_link_args = ["-pthread"]
            usable.append(extension)
        self.extensions = usable
        try:
            with ThreadPoolExecutor(self.parallel) as pool:
                stale = [extension for extension in usable if self.is_stale(extension)]
                sources = list(pool.map(self.translate, stale))
                tasks = [(each, source, part) for each, source in zip(stale, sources) for part in PARTS]
                for (extension, *_), made in zip(tasks, pool.map(lambda task: self.compile_part(*task), tasks)):
                    extension.extra_objects += made
            for extension in stale:
                extension.sources = []
                super().build_extension(extension)  # links the parts
        except (BaseError, CCompilerError, subprocess.CalledProcessError) as error:
            raise SystemExit(f"{error}\n{NO_COMPILER}") from error

    def is_stale(self, extension):
        return self.force or newer_group(extension.depends, self.get_ext_fullpath(extension.name), "newer")

    def translate(self, extension):
        """The C file that Cython makes."""
        [source] = extension.sources
        os.makedirs(self.build_temp, exist_ok=True)
        translated = os.path.join(self.build_temp, os.path.basename(source).replace(".pyx", ".c"))
        subprocess.run([sys.executable, "-m", "cython", "-3", "-I", "kernels", source, "-o", translated], check=True)
        return translated

    def compile_part(self, extension, translated, part):
        """Its object files: one."""
        return self.compiler.compile(
            [translated if part == "cython" else "kernels/engine.c"],
            output_dir=os.path.join(self.build_temp, extension.name, part),
            macros=extension.define_macros,
            include_dirs=extension.include_dirs,
            extra_postargs=extension.extra_compile_args + PARTS[part],
        )

    def accepts(self, flags):
        """Whether the compiler builds a small program with these flags."""
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, "probe.c")
            with open(source, "w") as file:
                file.write("int main(void) { return 0; }\n")
            command = [*self.compiler.compiler_so, source, "-o", os.path.join(folder, "probe"), *flags]
            command += shlex.split(os.environ.get("LDFLAGS", ""))
            try:
                result = subprocess.run(command, capture_output=True, text=True)
            except OSError as error:
                print(f"npdl: {error}", file=sys.stderr)
                return False
            if result.returncode and not flags:
                print(result.stderr, file=sys.stderr)
            return result.returncode == 0


def extensions():
    """One extension a build of this machine, or none."""
    if os.environ.get("NPDL_NO_KERNELS", "0") not in ("", "0"):
        return []
    # `depends` rebuilds when a header changes, and puts the sources of every machine into the sdist.
    sources = sorted(file for end in ("engine.c", "*.h", "*.pxi", "*.pyx") for file in glob.glob(f"kernels/{end}"))
    return [
        Extension(
            f"npdl.kernels.cpu._{name}",
            [f"kernels/_{name}.pyx"],
            depends=sources,
            include_dirs=["kernels", numpy.get_include()],
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
            extra_compile_args=flags,
        )
        for name, flags in ARCHITECTURES[machine()].items()
    ]


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildKernels})
