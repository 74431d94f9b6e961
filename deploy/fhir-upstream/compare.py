"""Compares what a FHIR server and a folder of the same data gave, level by level."""
import collections
import gzip
import json
import pathlib
import sys

work = pathlib.Path(sys.argv[1])
same = True


def lines(folder, errors):
    for path in sorted(folder.rglob("*.ndjson*")):
        is_error = "OperationOutcome" in path.name or "error" in path.parts
        if is_error != errors:
            continue
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        yield from (json.loads(line) for line in raw.splitlines() if line.strip())


def content(resource):
    """A resource without what a server keeps for itself."""
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in ("versionId", "lastUpdated")}
    return json.dumps({**resource, "meta": meta}, sort_keys=True)


loaded = {(r["resourceType"], r["id"]) for r in lines(work / "data", False)}
offered = json.loads((work / "capabilities.json").read_text())
kinds = {r["type"] for rest in offered["rest"] for r in rest["resource"]}
print(f"loaded: {len(loaded)} resources, "
      f"{sum(kind not in kinds for kind, _ in loaded)} of types that the server does not declare")
for level in ("system", "patient", "group"):
    found = [(r["resourceType"], r["id"]) for r in lines(work / "out/of-server" / level, False)]
    wanted = {(r["resourceType"], r["id"]): content(r) for r in lines(work / "out/of-folder" / level, False)}
    have = {(r["resourceType"], r["id"]): content(r) for r in lines(work / "out/of-server" / level, False)}
    twice = [key for key, count in collections.Counter(found).items() if count > 1]
    missing, extra = wanted.keys() - have.keys(), have.keys() - wanted.keys()
    own = {key for key in extra if key not in loaded}
    undeclared = {key for key in missing if key[0] not in kinds}
    missing, extra = missing - undeclared, extra - own
    changed = [key for key in wanted.keys() & have.keys() if wanted[key] != have[key]]
    complete = 100 * (len(wanted) - len(missing) - len(undeclared)) / max(len(wanted), 1)
    print(f"{level:8} folder {len(wanted):6}  server {len(found):6}  complete {complete:.2f} %"
          f"  missing {len(missing)} + {len(undeclared)} undeclared  the server's own {len(own)}  not wanted {len(extra)}  twice {len(twice)}  other content {len(changed)}")
    for what, keys in (("missing", missing), ("not wanted", extra), ("twice", twice), ("other content", changed)):
        if keys:
            of = collections.Counter(kind for kind, _ in keys)
            print(f"         {what}: {dict(of)}")
            same = False
    for outcome in lines(work / "out/of-server" / level, True):
        for issue in outcome["issue"]:
            print(f"         {issue['severity']}: {issue['diagnostics'][:160]}")
sys.exit(0 if same else 1)
