"""Edit compiled kernels one place at a time; the tests of the kernels must notice every edit.

    python tests/mutate_kernels.py                      all of them: half an hour on two cores
    python tests/mutate_kernels.py matmul.h conv.h      those of these headers

For each edit the build that serves this machine is compiled from a copy of kernels/ with that one line changed, put
beside a copy of the package, and tests/kernels runs against it until the first failure, the edited family's tests
first. Cython's part of the module is the same for all edits and compiled once. Exits 1 when an edit passes.
"""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tempfile

import numpy

ROOT = pathlib.Path(__file__).resolve().parent.parent

EDITS = [
    ("a block sum subtracted", "matmul.h", "if (add) v = LD(to) + v;", "if (add) v = LD(to) - v;"),
    (
        "a partial product left out",
        "matmul.h",
        "for (int64_t p = 1; p < s->parts; p++)",
        "for (int64_t p = 2; p < s->parts; p++)",
    ),
    (
        "a block of rows left out",
        "matmul.h",
        "if (blocks != 1) FN(npdl_add_rows)(s.partial, columns, blocks, columns, out);",
        "if (blocks != 1) FN(npdl_add_rows)(s.partial, columns, blocks - 1, columns, out);",
    ),
    (
        "window one row too low",
        "conv.h",
        "for (int64_t r = first - g->pad_top; rows",
        "for (int64_t r = first + 1 - g->pad_top; rows",
    ),
    (
        "taps not reversed in dx",
        "conv.h",
        "(x->v.taps - 1 - tap / x->h.taps % x->v.taps) * x->v.tap_step",
        "(tap / x->h.taps % x->v.taps) * x->v.tap_step",
    ),
    (
        "a tap's sum subtracted in dx of few channels",
        "narrow.h",
        "sum[i][0] += acc[i][0]",
        "sum[i][0] -= acc[i][0]",
    ),
    ("a wrong point of Winograd's", "winograd.h", "b2 = BC((REAL)-2.25)", "b2 = BC((REAL)-2.0)"),
    ("the last maximum wins", "pooling.h", "~(v <= m) & (m == m)", "~(v < m) & (m == m)"),
    ("average gradient without 1/N", "pooling.h", "VEC sum = NPDL_TAKE(x) + d;", "VEC sum = NPDL_TAKE(x) + d * BC(2);"),
    ("variance by n - 1", "norm.h", "(REAL)(q[c] / (double)rows)", "(REAL)(q[c] / (double)(rows - 1))"),
    (
        "batch statistics taken as constants",
        "norm.h",
        "offset[c] = (REAL)(plain[c] / (double)rows);",
        "offset[c] = 0;",
    ),
    ("cross-entropy gradient without 1/positions", "loss.h", "factor = scale / (REAL)s->positions", "factor = scale"),
    (
        "a smooth hinge of the other sign",
        "element_loss.h",
        "return -t * FN(npdl_sigmoid)(-t * p)",
        "return t * FN(npdl_sigmoid)(-t * p)",
    ),
    ("a focal gradient without its mean", "row_loss.h", "(v - w * h) * f", "v * f"),
    (
        "a triplet's negative pulled",
        "row_loss.h",
        "NPDL_MAP2(near, far, s->da + at, size, v - w)",
        "NPDL_MAP2(near, far, s->da + at, size, v + w)",
    ),
    (
        "equal labels may follow without a blank",
        "ctc.h",
        "NPDL_STATE(i) != NPDL_STATE(i - 2) ? 0",
        "NPDL_STATE(i) >= 0 ? 0",
    ),
    (
        "ReLU's gradient on the wrong side",
        "activation.h",
        "NPDL_MAP2(dy, saved, out, n, SELECT(w > zero, v, zero))",
        "NPDL_MAP2(dy, saved, out, n, SELECT(w > zero, zero, v))",
    ),
    (
        "the sum of a residual block subtracted",
        "merge.h",
        "NPDL_MAP2(a, b, out, n, v + w)",
        "NPDL_MAP2(a, b, out, n, v - w)",
    ),
    ("axes joined that do not follow each other", "shape.h", "from[a] * size[a] && m.to", "from[a] * size[a] || m.to"),
    ("a repeated place summed once less", "shape.h", "q < s->q; q++)", "q < s->q - (s->q > 1); q++)"),
    (
        "a weighted sum without its last tap",
        "interpolate.h",
        "p < taps; p++) sum = FMA",
        "p < taps - 1; p++) sum = FMA",
    ),
    ("reflected at the middle of the last pixel", "image.h", "p < n ? p : 2 * n - 1 - p", "p < n ? p : 2 * n - 2 - p"),
    ("a pixel's weights do not add to 1", "image.h", "(1 - q) * p, q * (1 - p), q", "q * p, q * (1 - p), q"),
    ("embedding gradient without zeros first", "embed.h", "v += s->shares) memset", "v += s->shares + 1) memset"),
    (
        "dropout keeps one value more",
        "dropout.h",
        "(word >> 8) >= s->threshold",
        "(word >> 8) + 1 >= s->threshold",
    ),
    ("normal numbers of one sign", "dropout.h", "words[i] >> 31 ? -z[i] : z[i]", "words[i] >> 31 ? z[i] : z[i]"),
    ("a row's variance by n - 1", "layer_norm.h", "(q < 0 ? 0 : q) / d + s->epsilon", "q / (d - 1) + s->epsilon"),
    (
        "a row's mean taken as a constant",
        "layer_norm.h",
        "offset[r] = BC((REAL)(-f * plain[r] * share))",
        "offset[r] = BC(0)",
    ),
    (
        "a block of positions weighed wrongly",
        "group_norm.h",
        "apart * ((double)n / all)",
        "apart * ((double)first / all)",
    ),
    ("sparsemax after one turn", "row_activations.h", "if (!rose) break;", "(void)rose; break;"),
    ("log-softmax's gradient without its sum", "row_activations.h", "FMA(w[j], total, v[j])", "v[j]"),
    ("the gate's slope without one factor", "row_activations.h", "d * at * (s * w)", "d * at * s"),
    ("softplus without the larger part", "more_activations.h", "MAX(BC(0), z[j]) + tail[j]", "z[j] + tail[j]"),
    ("L2's gradient without its 2", "regularize.h", "(REAL)(2 * l2)", "(REAL)l2"),
    (
        "a bin's gradient without 1/N",
        "adaptive.h",
        "d = NPDL_TAKE(dy + c) / BC((REAL)(last - first))",
        "d = NPDL_TAKE(dy + c)",
    ),
    ("two pixels read the first one's taps", "depthwise.h", "*at = from + i * step + v * VL", "*at = from + v * VL"),
    ("a sweep's taps not reversed", "depthwise.h", "seen[r][backwards ? taps - 1 - q : q]", "seen[r][q]"),
    ("a sweep's vectors not moved on", "depthwise.h", "seen[r][q - 1] = seen[r][q]", "seen[r][q - 1] = seen[r][0]"),
    ("only the last block of keys counts", "attention.h", "total[j] = total[j] + sum[j]", "total[j] = sum[j]"),
    (
        "an output gate's gradient halved",
        "rnn.h",
        "NPDL_RNN_DZ(3, dh * y * dout)",
        "NPDL_RNN_DZ(3, dh * y * dout * BC(0.5))",
    ),
    ("a square's slope halved", "power.h", "v * (w + w)", "v * w"),
    ("Circle loss without its diagonal's mask", "triplets.h", "(b != a || w->diagonal)", "(b != a || 1)"),
    ("a triplet's negative pulled", "triplets.h", "slopes[away] -= step", "slopes[away] += step"),
    ("a shorter series for e^x", "elementary.h", "0.00139336928f, 0.00019959324f}", "0.00139336928f, 0}"),
    ("Φ far out as if it were near", "elementary.h", "e[j] * p[j], tail[j])", "e[j] * p[0], tail[j])"),
    ("no largest norm", "regularize.h", "MIN(BC(t->highest), MAX(BC(t->lowest), norm))", "MAX(BC(t->lowest), norm)"),
]
"""(what it does, file, the text, what stands in its place)"""

CHECK = "import npdl, npdl.kernels.cpu.build as b, sys; sys.exit(not npdl.__file__.startswith(sys.argv[1]))"


def installed():
    """(the build that serves this machine, the folder of the compiled modules), from a process of its own."""
    code = "import npdl.kernels.cpu.build as b; print(b.name, b.__file__, sep=chr(10))"
    run = subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True)
    name, file = run.stdout.split("\n")[:2]
    return name, pathlib.Path(file).parent


def compile_c(build, *arguments, cwd=None):
    march = {"v2": "-march=x86-64-v2", "v3": "-march=x86-64-v3", "v4": "-march=x86-64-v4"}.get(build)
    flags = ["-fPIC", "-O1", "-ffp-contract=off", "-fno-math-errno", "-w", "-pthread", *([march] if march else [])]
    include = ["-I", sysconfig.get_paths()["include"], "-I", numpy.get_include(), "-I", "."]
    subprocess.run(["cc", *flags, *include, *arguments], cwd=cwd or ROOT / "kernels", check=True)


def compile_wrapper(folder, build):
    """The object file of Cython's part: it calls kernels, and so is the same for every edit of one."""
    source, made = folder / f"_{build}.c", folder / "cython.o"
    command = [sys.executable, "-m", "cython", f"_{build}.pyx", "-3", "-o", str(source)]
    subprocess.run(command, cwd=ROOT / "kernels", check=True)
    compile_c(build, "-DNPDL_PART=0", "-c", source, "-o", made)
    return made


def edited_package(folder, build, compiled, wrapper, edit):
    """A copy of the package in `folder` whose compiled module is made from the edited sources."""
    _, file, old, new = edit
    sources = folder / "kernels"
    shutil.copytree(ROOT / "kernels", sources, ignore=shutil.ignore_patterns("_*.c"))
    text = (sources / file).read_text()
    if old not in text:
        raise SystemExit(f"kernels/{file} does not hold {old!r} any more; give this edit another place")
    (sources / file).write_text(text.replace(old, new))
    package = folder / "npdl" / "kernels" / "cpu"
    shutil.copytree(ROOT / "npdl", folder / "npdl", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    if build != "v2":
        for detector in compiled.glob("_v2.*"):  # says which builds this processor runs
            shutil.copy(detector, package)
    module = package / f"_{build}{sysconfig.get_config_var('EXT_SUFFIX')}"
    for bits in ("32", "64"):
        compile_c(build, f"-DNPDL_PART={bits}", "-c", "engine.c", "-o", f"{bits}.o", cwd=sources)
    compile_c(build, "-shared", wrapper, "32.o", "64.o", "-o", module, "-lm", cwd=sources)


def is_caught(build, compiled, wrapper, edit):
    """Whether tests/kernels fails on this edit."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name).resolve()
        edited_package(folder, build, compiled, wrapper, edit)
        environment = {**os.environ, "PYTHONPATH": str(folder), "NPDL_BUILD": build, "NUMBA_CACHE_DIR": str(folder)}
        subprocess.run([sys.executable, "-P", "-c", CHECK, str(folder)], cwd=folder, env=environment, check=True)
        shutil.copytree(ROOT / "tests" / "kernels", folder / "tests")
        shutil.copy(ROOT / "tests" / "conftest.py", folder / "tests")
        options = ["-x", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-m", "not torch and not slow"]
        ignored = [f"--ignore=tests/{name}" for name in ("test_build.py", "test_update.py", "test_update_cuda.py")]
        stem = pathlib.Path(edit[1]).stem
        first = [f"tests/test_{stem}.py"] if (folder / "tests" / f"test_{stem}.py").exists() else []
        run = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *ignored, *first, "tests"],
            cwd=folder, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        if run.returncode not in (0, 1):
            raise SystemExit(run.stdout[-2000:] + run.stderr[-2000:])
        return run.returncode == 1


def main():
    build, compiled = installed()
    edits = [edit for edit in EDITS if edit[1] in sys.argv[1:] or not sys.argv[1:]]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool, tempfile.TemporaryDirectory() as folder:
        wrapper = compile_wrapper(pathlib.Path(folder), build)
        caught = list(pool.map(lambda edit: is_caught(build, compiled, wrapper, edit), edits))
    for (what, file, *_), noticed in zip(edits, caught, strict=True):
        print(f"{'caught' if noticed else 'MISSED'}  {file}: {what}")
    print(f"{sum(caught)} of {len(caught)} edits caught (build {build})")
    sys.exit(not all(caught))


if __name__ == "__main__":
    main()
