"""Puts a folder of NDJSON into a FHIR server, by batch Bundles of PUTs.

    python3 load.py http://127.0.0.1:8090/fhir DIR
"""
import json
import pathlib
import sys
import time
import urllib.request

base, folder = sys.argv[1].rstrip("/"), pathlib.Path(sys.argv[2])
SIZE = 200


def send(resources):
    entries = [
        {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}}
        for r in resources
    ]
    body = json.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries}).encode()
    headers = {"Content-Type": "application/fhir+json", "Prefer": "return=minimal"}
    with urllib.request.urlopen(urllib.request.Request(base, body, headers)) as answer:
        entries = json.load(answer)["entry"]
    bad = [e["response"]["status"] for e in entries if not e["response"]["status"].startswith("20")]
    if bad:
        sys.exit(f"load: {len(bad)} of {len(resources)} were refused: {bad[0]}")


started, loaded = time.monotonic(), 0
for path in sorted(folder.glob("*.ndjson")):
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    for at in range(0, len(lines), SIZE):
        send(lines[at:at + SIZE])
    loaded += len(lines)
print(f"loaded {loaded} resources in {time.monotonic() - started:.1f} s")
