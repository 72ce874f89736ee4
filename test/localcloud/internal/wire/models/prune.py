#!/usr/bin/env python3
"""Write the service models beside this file: those of botocore, pruned to the operations of operations.txt.

Usage: prune.py            makes a virtual environment with the pinned botocore in a temporary folder
       PYTHON prune.py     uses the botocore that PYTHON has, when it is of the pinned version

Kept is what a protocol and its checks need: names on the wire, locations, types, constraints. What recordings of the real service
contradict is corrected at CORRECTIONS. botocore's models are under the Apache License 2.0; see NOTICE.
"""
import gzip, json, os, pathlib, subprocess, sys, tempfile

BOTOCORE = "1.43.98"
HERE = pathlib.Path(__file__).resolve().parent
METADATA = ["protocols", "apiVersion", "targetPrefix", "jsonVersion", "xmlNamespace"]
SHAPE = ["type", "required", "enum", "min", "max", "pattern", "flattened", "timestampFormat", "payload", "streaming", "union"]
MEMBER = ["shape", "locationName", "queryName", "location", "flattened", "streaming", "timestampFormat"]

# (service, shape, member, trait, value): what recordings of the service show to be otherwise. Without a member, it is the shape's trait;
# with one, the member gets a shape of its own. None drops the trait.
CORRECTIONS = [
    ("ebs", "PutSnapshotBlockRequest", "ChecksumAlgorithm", "enum", None),  # an error of the service itself, not of its model
    ("ebs", "BlockToken", None, "pattern", "^[A-Za-z0-9+/=_-]+$"),
    ("ebs", "PageToken", None, "pattern", "^[A-Za-z0-9+/=_-]+$"),
]


def main():
    try:
        import botocore
    except ImportError:
        botocore = None
    if getattr(botocore, "__version__", None) != BOTOCORE:
        return in_environment()
    for service, name, operations in wanted():
        model = load(pathlib.Path(botocore.__file__).parent / "data" / service)
        write(HERE / f"{name}.json", prune(service, model, operations))


def in_environment():
    """Run this script again where the pinned botocore is."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = os.path.join(folder, "bin", "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"botocore=={BOTOCORE}"], check=True)
        subprocess.run([python, __file__], check=True)


def wanted():
    """Yield service, file name and operations of operations.txt."""
    found = []
    for line in (HERE / "operations.txt").read_text().splitlines():
        if line.startswith("\t"):
            found[-1][2].extend(line.split())
        elif line and not line.startswith("#"):
            found.append((*line.split(), []))
    return found


def load(folder):
    newest = sorted(folder.iterdir())[-1]
    with gzip.open(newest / "service-2.json.gz") as f:
        return json.load(f)


def prune(service, model, operations):
    if operations == ["*"]:
        operations = model["operations"]
    out = {"metadata": keep(model["metadata"], METADATA), "operations": {}, "shapes": {}}
    for name in sorted(operations):
        operation = model["operations"][name]
        http = operation["http"]
        out["operations"][name] = {"method": http["method"], "path": http["requestUri"], "status": http.get("responseCode", 200)}
        for side in ("input", "output"):
            if side in operation:
                out["operations"][name][side] = operation[side]["shape"]
                reach(model["shapes"], operation[side]["shape"], out["shapes"])
    for corrected, *what in CORRECTIONS:
        if corrected == service:
            correct(out["shapes"], *what)
    out["shapes"] = dict(sorted(out["shapes"].items()))
    return out


def reach(shapes, name, out):
    """Copy a shape and all that it is made of."""
    if name in out:
        return
    shape = shapes[name]
    out[name] = kept = keep(shape, SHAPE)
    if "members" in shape:
        kept["members"] = [{"name": member, **keep(reference, MEMBER)} for member, reference in shape["members"].items()]
    for part in ("member", "key", "value"):
        if part in shape:
            kept[part] = keep(shape[part], MEMBER)
    if shape.get("locationName"):  # of a list: the name of its items in a response
        kept["member"].setdefault("locationName", shape["locationName"])
    for reference in [*kept.get("members", []), *(kept[part] for part in ("member", "key", "value") if part in kept)]:
        reach(shapes, reference["shape"], out)


def correct(shapes, shape, member, trait, value):
    if member:
        reference = next(m for m in shapes[shape]["members"] if m["name"] == member)
        old, shape, reference["shape"] = reference["shape"], shape + member, shape + member
        shapes[shape] = dict(shapes[old])
    shapes[shape] = keep({**shapes[shape], trait: value}, SHAPE)


def keep(thing, names):
    return {name: thing[name] for name in names if thing.get(name) is not None and thing[name] is not False}


def write(path, model):
    """One line for an operation or a shape: what changes shows in a diff."""
    lines = ["{", f' "metadata": {compact(model["metadata"])},']
    for part, end in (("operations", ","), ("shapes", "")):
        entries = [f"  {json.dumps(name)}: {compact(value)}" for name, value in model[part].items()]
        lines += [f' "{part}": {{', ",\n".join(entries), " }" + end]
    path.write_text("\n".join(lines) + "\n}\n")


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


main()
