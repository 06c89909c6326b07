"""The same bits from every compiler and instruction set: bits.c, compiled for each, prints one hash a case.

For arm64 it runs under qemu where this machine has another processor: each case once, with three threads. That those
give the bits of one is tried by the other builds.
"""

import functools
import hashlib
import os
import pathlib
import platform
import shutil
import subprocess

import pytest

fcntl = pytest.importorskip("fcntl", reason="POSIX only")
KERNELS = pathlib.Path(__file__).parents[2] / "kernels"
pytestmark = pytest.mark.skipif(not (KERNELS / "engine.h").exists(), reason="needs the source tree")

X86 = platform.machine() in ("x86_64", "AMD64")
ARM_COMPILER = "aarch64-linux-gnu-gcc"
ARM_HEADERS = "libc6-dev-arm64-cross"
FLAGS = ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-Wall", "-Werror"]
FLAGS += ["-Wno-unused-function", "-Wno-unknown-pragmas", f"-I{KERNELS}", "-pthread"]
PACKAGES = {"gcc": "gcc", "clang": "clang", ARM_COMPILER: "gcc-aarch64-linux-gnu", "qemu-aarch64": "qemu-user"}
"""program -> the Debian package that has it"""

# Each level with each compiler, each compiler with the flags of setup.py and with few. A build takes a minute, with -O1
# half of it; a level of optimization cannot change bits but by a·b + c, which the flags forbid and a test below allows.
BUILDS = {
    f"{compiler} {level} {optimize}": [compiler, f"-march=x86-64-{level}", optimize]
    for compiler, level, optimize in (
        ("gcc", "v3", "-O1"),
        ("gcc", "v4", "-O3"),
        ("clang", "v3", "-O3"),
        ("clang", "v4", "-O1"),
    )
}
if not X86:
    BUILDS = {f"{compiler} native -O3": [compiler, "-O3"] for compiler in ("gcc", "clang")}
ARM_BUILDS = {
    "gcc arm64": [ARM_COMPILER, "-O1", "-static"],
    "clang arm64": ["clang", "--target=aarch64-linux-gnu", "-O1", "-static"],
}


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}: apt install {PACKAGES[program]}")


@functools.cache
def runs_here(level):
    flags = pathlib.Path("/proc/cpuinfo").read_text() if X86 else ""
    return {"v3": "avx2" in flags and "fma" in flags, "v4": "avx512vl" in flags}[level]


@pytest.fixture(scope="session")
def hashes(tmp_path_factory):
    """hashes(command, emulator): the lines of bits.c, compiled by that command. pytest-xdist's workers share them."""
    own = tmp_path_factory.getbasetemp()
    folder = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def compiled(command, emulator=None):
        program = folder / ("bits-" + hashlib.sha256(" ".join(command).encode()).hexdigest()[:16])
        with open(f"{program}.txt", "a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
            file.seek(0)
            text = file.read()
            if not text:
                source = str(pathlib.Path(__file__).with_name("bits.c"))
                subprocess.run([command[0], *FLAGS, *command[1:], source, "-o", program, "-lm"], check=True)
                run = [emulator, program, "once"] if emulator else [program]
                result = subprocess.run(run, capture_output=True, text=True, timeout=600)
                assert result.returncode == 0, result.stdout + result.stderr
                text = result.stdout
                file.write(text)
        return dict(line.rsplit(" ", 1) for line in text.splitlines())

    return compiled


@pytest.fixture
def first(hashes):
    """first(): what the others are compared with. Asked for last, so that two processes compile at the same time."""
    need("gcc")
    if X86 and not runs_here("v3"):
        pytest.skip("needs a processor with AVX2 and FMA")
    return lambda: hashes(BUILDS["gcc v3 -O1" if X86 else "gcc native -O3"])


def compare(got, expected):
    assert got.keys() == expected.keys()
    assert [name for name in got if got[name] != expected[name]] == []


@pytest.mark.parametrize("build", BUILDS)
def test_builds_agree(build, hashes, first):
    need(BUILDS[build][0])
    for level in ("v3", "v4"):
        if level in build and not runs_here(level):
            pytest.skip(f"this processor has no x86-64-{level}")
    got = hashes(BUILDS[build])
    assert len(got) > 400
    compare(got, first())


@pytest.mark.slow
@pytest.mark.skipif(not X86, reason="here arm64 is the processor itself, or another one than x86-64")
@pytest.mark.parametrize("build", ARM_BUILDS)
def test_arm64_agrees(build, hashes, first):
    command = ARM_BUILDS[build]
    need(command[0], ARM_COMPILER, "qemu-aarch64")  # clang links with the libraries of the cross compiler
    if not pathlib.Path("/usr/aarch64-linux-gnu/include").is_dir():
        pytest.skip(f"needs the C library of arm64: apt install {ARM_HEADERS}")
    compare(hashes(command, "qemu-aarch64"), first())


@pytest.mark.skipif(not X86, reason="its flags are those of x86-64")
def test_the_vectors_notice_fused_arithmetic(hashes, first):
    """With a·b + c left to the compiler some hashes differ: the comparison would notice a build without the flag."""
    got = hashes([*BUILDS["gcc v3 -O1"], "-ffp-contract=fast", "-fexpensive-optimizations"])  # which GCC fuses in
    expected = first()
    assert got.keys() == expected.keys()
    assert any(got[name] != expected[name] for name in got)
