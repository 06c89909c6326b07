"""The kernels under AddressSanitizer and UndefinedBehaviorSanitizer, the thread pool under ThreadSanitizer.

bits.c calls every kernel, on its cases and on random ones; pool.c attacks the pool. What is compiled here is C alone;
kernels/README.md tells how to run the Python tests on a sanitized build.
"""

import os
import pathlib
import shutil
import subprocess

import pytest

KERNELS = pathlib.Path(__file__).parents[2] / "kernels"
HERE = pathlib.Path(__file__).parent
pytestmark = [
    pytest.mark.skipif(not (KERNELS / "engine.h").exists(), reason="needs the source tree"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc: apt install gcc"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only"),
]


def compile_c(folder, source, *flags, compilers=("gcc",)):
    """The program, by the first of the compilers that has the sanitizer's library; without it the test is skipped."""
    probe = folder / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    sanitizers = [flag for flag in flags if flag.startswith("-fsanitize")]

    def has_them(compiler):
        command = [compiler, *sanitizers, probe, "-o", folder / "probe"]
        return shutil.which(compiler) and not subprocess.run(command, capture_output=True).returncode

    compiler = next(filter(has_them, compilers), None)
    if compiler is None:
        pytest.skip(f"needs gcc with {' '.join(sanitizers)}: apt install libgcc-12-dev, or your gcc's")
    program = folder / source.removesuffix(".c")
    warnings = ["-Wall", "-Werror", "-Wno-unused-function", "-Wno-unknown-pragmas"]
    command = [compiler, "-g1", "-ffp-contract=off", *warnings, *flags, f"-I{KERNELS}", HERE / source, "-o", program]
    subprocess.run([*command, "-lm", "-pthread"], check=True)
    return program


def run(*command, **environment):
    result = subprocess.run(
        list(map(str, command)), env=os.environ | environment, capture_output=True, text=True, timeout=300
    )
    if "unexpected memory mapping" in result.stderr:
        pytest.skip("ThreadSanitizer does not know this kernel's layout of memory: sysctl vm.mmap_rnd_bits=28")
    assert result.returncode == 0, (result.stdout + result.stderr)[-8000:]
    return result


@pytest.mark.slow
@pytest.mark.parametrize("level", ("v3", "v4"))
def test_kernels_touch_only_their_arrays(tmp_path, level):
    """Addresses, alignment, shifts, overflows."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    flag = {"v3": " fma ", "v4": " avx512vl "}[level]
    if not cpuinfo.exists() or flag not in cpuinfo.read_text():
        pytest.skip(f"needs a processor of x86-64-{level}")
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-DNPDL_EXACT_MEMORY"]
    checks += ["-fno-delete-null-pointer-checks"]  # NULL + 0 is NULL, and no error
    # Clang takes half of GCC's time, and -O0 half of -O1's; without optimization GCC warns of code that never runs.
    flags = "-O0", "-Wno-error", f"-march=x86-64-{level}", *checks
    program = compile_c(tmp_path, "bits.c", *flags, compilers=("clang", "gcc"))
    options = {"ASAN_OPTIONS": "detect_leaks=0"}  # workers keep their memory
    assert len(run(program, **options).stdout.splitlines()) > 400
    assert "300 random cases, 0 failures" in run(program, "fuzz", 1, 300, **options).stdout


@pytest.mark.parametrize("attack", ("calls", "memory", "signals"))
def test_pool_has_no_races(tmp_path, attack):
    run(compile_c(tmp_path, "pool.c", "-O1", "-Wextra", "-fsanitize=thread"), attack, 1)


@pytest.mark.parametrize("attack", ("fork", "memory", "signals"))
def test_pool_survives(tmp_path, attack):
    run(compile_c(tmp_path, "pool.c", "-O2", "-Wextra"), attack, 1)
