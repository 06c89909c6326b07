"""python -m benchmarks: measure, say each row as it comes, write the report."""

import argparse
import dataclasses
import importlib.util
import json
import os
import pathlib
import sys
import time

from benchmarks import machine, report, rows
from benchmarks.runner import Runner, Settings, quick
from benchmarks.worker import WorkerError

HERE = pathlib.Path(__file__).parent
NEEDED = {"torch": "torch", "matplotlib": "matplotlib", "sklearn": "scikit-learn", "threadpoolctl": "threadpoolctl"}
INSTALL = 'pip install -e ".[benchmarks]"'


def arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the main rows, fewer repeats: under 3 minutes")
    parser.add_argument("--rows", nargs="+", default=(), metavar="PATTERN", help='names to measure, e.g. "train/*"')
    parser.add_argument("--threads", type=int, default=machine.cores(), help="of each engine; default: all cores")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where both engines work")
    parser.add_argument("--output", type=pathlib.Path, help="folder; default: benchmarks/ for a full run, else none")
    parser.add_argument("--list", action="store_true", help="print the rows' names and stop")
    parser.add_argument(
        "--rewrite", action="store_true", help="the report anew from the figures of the latest full run"
    )
    return parser.parse_args(argv)


def main(argv=None):
    """Run; returns the exit status."""
    chosen = arguments(argv)
    selected = rows.select(chosen.rows, chosen.quick, chosen.device)
    if chosen.rewrite:
        return rewrite(chosen.output or HERE, chosen.device)
    if chosen.list or not selected:
        print(*(row.name for row in selected or rows.OF_DEVICE[chosen.device]), sep="\n")
        return 0 if chosen.list else f"no row matches {' '.join(chosen.rows)}; these are all"
    missing = [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        return f"the benchmarks compare with what is not installed: {', '.join(missing)}. {INSTALL}"
    if chosen.device == "cuda" and (missing := gpu_missing()):
        return f"the GPU rows cannot be measured here: {'; '.join(missing)}"
    for variable in ("OMP_NUM_THREADS", "NPDL_NUM_THREADS"):
        os.environ[variable] = str(chosen.threads)  # of the processes that are started
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # its pool of compilers would stay beside us
    settings = quick(chosen.threads, chosen.device) if chosen.quick else Settings(chosen.threads, device=chosen.device)
    try:
        results, about = run(selected, settings)
    except WorkerError as error:
        return str(error)
    whole = len(results) == len(rows.OF_DEVICE[chosen.device]) and not chosen.quick
    output = chosen.output or (HERE if whole else None)  # which a part of the table must not replace
    print("\n" + "\n".join(report.goals_table(results, about["peaks"])))
    if output is not None:
        write(output, results, about)
    return 0


def run(selected, settings):
    """([Result], what they were measured on); prints every row."""
    started, about = time.perf_counter(), {"machine": machine.describe(), "settings": dataclasses.asdict(settings)}
    print(f"threads: {settings.threads}; {report.disturbance(about['machine']['busy'])}")
    with Runner(settings) as runner:
        workers = {engine: runner.worker(engine) for engine in ("npdl", "torch")}
        about["engines"] = {engine: worker.about for engine, worker in workers.items()}
        about["peaks"] = machine.peaks(workers, settings.device)
        print(f"{'':44} {'npdl':>12} {'opponent':>12} {'ratio':>7} {'minima':>7} {'alone':>7}  goal")
        results = []
        try:
            for row in selected:
                results.append(runner.measure(row))
                print(line(results[-1]), flush=True)
                if row.opponent == "sklearn" and row.opponent in runner.workers:
                    about["engines"][row.opponent] = runner.workers[row.opponent].about
        except KeyboardInterrupt:
            print(f"interrupted: {len(selected) - len(results)} of {len(selected)} rows are not measured")
    about["seconds"] = time.perf_counter() - started
    return results, about


def line(result):
    """A result as a line of text."""
    if result.ours is None:
        return f"{result.row.name:44} {result.note}"
    sides = [report.quantity(s.median, result.row.unit) if s else "-" for s in (result.ours, result.theirs)]
    ratios = [report.times(r) for r in (result.ratio, result.ratio_of_minima, result.ratio_alone)]
    goal = "" if result.row.goal is None else f"{result.row.goal:g} {'met' if result.met else 'NOT MET'}"
    how = "; ".join(filter(None, (result.ours_how, result.theirs_how)))
    return (
        f"{result.row.name:44} {sides[0]:>12} {sides[1]:>12} {ratios[0]:>7} {ratios[1]:>7} {ratios[2]:>7}  "
        f"{goal:12} {how}"
    ).rstrip()


def gpu_missing():
    """What stands in the way of measuring on a GPU, a sentence for each engine."""
    import torch

    from npdl.devices.cuda import find

    obstacle = find.obstacle(0)
    there = torch.cuda.is_available()
    cause = "this build of it has no CUDA" if torch.version.cuda is None else "it finds no GPU"
    return [*([f"npdl: {obstacle}"] if obstacle else []), *([] if there else [f"PyTorch {torch.__version__}: {cause}"])]


def write(folder, results, about):
    """RESULTS.md, results.json and the pictures; of a GPU RESULTS_CUDA.md and results_cuda.json."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    if about["settings"]["device"] == "cpu":
        from benchmarks import pictures  # loads matplotlib

        versions = ", ".join(f"{engine['name']} {engine['version']}" for engine in about["engines"].values())
        names = pictures.draw(results, folder, f"{versions}, {about['settings']['threads']} threads")
    text, figures = report.FILES[about["settings"]["device"]]
    (folder / figures).write_text(json.dumps(report.as_json(results, about), indent=1) + "\n", encoding="utf-8")
    _write_report(folder / text, results, about, names)
    print(f"written: {', '.join([str(folder / text), figures, *names])}", file=sys.stderr)


def rewrite(folder, device):
    """The report again, from the figures that lie there; returns the exit status."""
    text, figures = report.FILES[device]
    if not (folder / figures).exists():
        return f"there are no figures to write a report from: {folder / figures}; measure first"
    results, about = report.from_json(json.loads((folder / figures).read_text(encoding="utf-8")))
    names = [name for name in report.PICTURES if (folder / name).exists()] if device == "cpu" else []
    _write_report(folder / text, results, about, names)
    return 0


def _write_report(file, results, about, pictures):
    measured = (file.parent / report.FILES["cuda"][0]).exists()
    file.write_text(report.markdown(results, about, pictures, measured), encoding="utf-8")
