#!/usr/bin/env bash
# Runs two clients from PyPI, unchanged, against a FHIR Bulk Data server with SMART Backend Services:
#   smart-fetch 1.0.3          export --export-mode bulk
#   cumulus-etl 3.14.0         export
#
#   BASE=http://127.0.0.1:8080/default/fhir CLIENT_ID=demo KEY=private.jwks GROUP=diabetes-registry \
#   OUT=/tmp/out VENV=/tmp/venv  real-clients.sh
#
# BASE       FHIR base URL; BASE/metadata and BASE/.well-known/smart-configuration must be open
# CLIENT_ID  as registered with the server
# KEY        PRIVATE key: a JWKS or a single JWK (JSON; "key_ops" with "sign", "kid" and "alg" are needed), or a PEM
#            (unencrypted; then kid = the key's RFC 7638 thumbprint, RSA signs RS384, P-384 signs ES384)
# GROUP      id of the Group
# OUT        folder for the results, made if missing; OUT/smart-fetch and OUT/cumulus-etl must not exist or be empty
# VENV       folder of the virtual environment: 1.3 GB; 2.5 minutes and a 0.4 GB download the first time, then reused
# TYPES      optional: comma list for --type; default Patient,Condition,Observation. All must be covered by the grant
# LIMIT      optional: seconds for each client, default 600
# PYTHON     optional: Python 3.11 or newer, default python3
# SMART_FETCH_ARGS, CUMULUS_ETL_ARGS  optional: more arguments
# INSTALL_ONLY=1  stops after the installation (then only VENV is needed)
#
# Exit 0 only if both report success, every file is NDJSON of its type and as long as the client's own log says, each
# of TYPES is there, the export was deleted, and both got the same resources.
set -euo pipefail
: "${VENV:?}"
TYPES=${TYPES:-Patient,Condition,Observation} LIMIT=${LIMIT:-600} PYTHON=${PYTHON:-python3}
die() { echo "real-clients: $*" >&2; exit 1; }

# --- install -----------------------------------------------------------------------------------------------------
requirements() { cat <<'REQ'
aiobotocore==3.10.0
aiohappyeyeballs==2.7.1
aiohttp==3.14.5
aioitertools==0.13.0
aiosignal==1.4.0
annotated-doc==0.0.7
annotated-types==0.8.0
anyio==4.16.0
appdirs==1.4.4
argcomplete==3.7.2
attrs==26.1.0
black==26.10.1
boto3==1.43.117
botocore==1.43.117
certifi==2026.10.19.post1
cffi==2.1.1
chardet==5.2.0
charset-normalizer==3.5.3
click==8.5.1
cloudpickle==3.1.3
cryptography==50.0.2
ctakesclient==5.1.0
cumulus-etl==3.14.0
cumulus-fhir-support==1.12.2
datamodel-code-generator==0.89.0
defusedxml==0.7.1
delta_spark==4.4.1
dnspython==2.9.2
doclang==0.8.0
email-validator==2.4.0
Faker==40.63.0
fhirclient==4.4.0
frozenlist==1.8.0
fsspec==2026.9.0
genson==1.4.0
h11==0.16.0
httpcore2==2.16.2
httpcore==1.0.9
httpx2==2.16.2
httpx==0.28.1
idna==3.20
ijson==3.6.0
importlib_metadata==8.7.1
inflect==7.6.0
inscriptis==2.7.6
isort==8.0.1
jambo==0.2.0.post1
jaraco.functools==4.6.0
Jinja2==3.1.6
jiter==0.19.0
jmespath==1.1.0
joblib==1.6.0
jsf==0.11.2
jsonschema-specifications==2025.9.1
jsonschema==4.26.0
jwcrypto==1.6.1
label-studio-sdk==2.1.2
lxml==6.1.3
markdown-it-py==4.3.0
MarkupSafe==3.0.4
mdurl==0.1.2
more-itertools==11.2.1
multidict==7.2.1
mypy_extensions==1.2.0
nltk==3.10.4
numpy==2.2.6
openai==3.57.0
opencv-python-headless==4.12.0.88
oracledb==26.1.0
packaging==26.4
pandas==3.1.1
pathspec==1.1.1
philter-lite==0.6.0
pillow==13.0.0
platformdirs==4.14.8
propcache==0.5.4
py4j==0.10.9.9
pyarrow==26.0.1
PyAthena==4.2.1
pycparser==3.12
pydantic==2.14.4
pydantic_core==2.50.5
Pygments==2.21.0
PyJWT==2.13.0
pyspark==4.0.5
python-dateutil==2.9.0.post0
pytokens==0.4.1
PyYAML==6.0.4
referencing==0.37.0
regex==2026.11.19
requests-mock==1.12.1
requests==2.34.2
rich==15.0.0
rpds-py==2026.9.1
rstr==3.2.2
s3fs==2026.9.0
s3transfer==0.19.3
shellingham==1.5.4
six==1.17.0
smart-fetch==1.0.3
smart_open==9.0.2
sniffio==1.3.1
tenacity==9.2.1
tqdm==4.70.1
truststore==0.10.5
typeguard==4.6.1
typer==0.29.2
typing-inspection==0.4.5
typing_extensions==4.16.0
tzdata==2026.6
ujson==6.1.0
urllib3==2.8.0
watchfiles==1.3.0
wrapt==2.5.2
xmljson==0.2.1
xmltodict==0.14.2
yarl==1.25.1
zipp==4.1.2
REQ
}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "Python 3.11 or newer is needed"
export PIP_DISABLE_PIP_VERSION_CHECK=1
if ! requirements | cmp -s - "$VENV/real-clients.installed"; then
  echo "installing smart-fetch and cumulus-etl into $VENV"
  started=$SECONDS
  [ -x "$VENV/bin/pip" ] || "$PYTHON" -m venv "$VENV"
  requirements >"$VENV/requirements.txt"
  "$VENV/bin/pip" install --quiet -r "$VENV/requirements.txt"
  "$VENV/bin/pip" check
  mv "$VENV/requirements.txt" "$VENV/real-clients.installed"
  echo "installed in $((SECONDS - started)) s, $(du -sh "$VENV" | cut -f1)"
fi

# --- the clients are what PyPI has: digests of their sources, taken from the wheels ----------------------------------
"$VENV/bin/python" - <<'PY' || die "the installed clients are not those of PyPI"
import hashlib, importlib.util, pathlib
WANT = {
    # smart_fetch-1.0.3-py3-none-any.whl            sha256 67059ef82c7b638ede3e9114cce97491268e222c469443b69c9fd6bded7adbcc
    "smart_fetch": "ed2781505f532b5150eb54c0e48c4ba428c3983cfc44f53369b9e6c6c0bb4d0a",
    # cumulus_etl-3.14.0-py3-none-any.whl           sha256 5655a1a06f1e45c1693c7ec66a86f0f6be91fa8402103136a2e2ce13d65d425e
    "cumulus_etl": "a9239e5a129702ac317670ce0d8b4af7bfcf88131f663c066a75f3ad8742c38d",
    # cumulus_fhir_support-1.12.2-py3-none-any.whl  sha256 db659bb42b0d28f9854908adb7ea4e2280599f3e7b5e5bbfa65e36fea2ff8daa
    "cumulus_fhir_support": "6c414e62101bc387437e8cee3c9effbd22f9f583c6538306a904fad22bbc6548",
}
for package, want in WANT.items():
    top = pathlib.Path(importlib.util.find_spec(package).origin).parent
    digest = hashlib.sha256()
    for path in sorted(top.rglob("*.py")):
        name = str(path.relative_to(top.parent)).encode()
        digest.update(name + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    assert digest.hexdigest() == want, f"{package} was changed"
    print(f"{package}: unchanged")
PY
[ -z "${INSTALL_ONLY:-}" ] || exit 0

# --- the key, under a name that both accept (.jwks or .pem), and checked before they are asked -------------------------
: "${BASE:?}" "${CLIENT_ID:?}" "${KEY:?}" "${GROUP:?}" "${OUT:?}"
BASE=${BASE%/}
umask 077
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
if grep -q -e '-----BEGIN' "$KEY"; then key=$tmp/key.pem; else key=$tmp/key.jwks; fi
cp "$KEY" "$key"
"$VENV/bin/python" - "$key" <<'PY' || die "KEY is of no use to these clients"
import json, sys
from jwcrypto import jwk
if sys.argv[1].endswith(".pem"):
    key = jwk.JWK.from_pem(open(sys.argv[1], "rb").read())
    assert key.has_private, "a private key is needed"
    print("key: PEM, kid", key["kid"])
else:
    keys = json.load(open(sys.argv[1]))
    keys = keys.get("keys", [keys])
    good = [k for k in keys if "sign" in k.get("key_ops", []) and k.get("kid") and k.get("alg")]
    assert good, 'no key with "key_ops": ["sign"], "kid" and "alg"'
    assert jwk.JWK(**good[0]).has_private, "the first of those keys has no private part"
    print("key:", good[0]["alg"], "kid", good[0]["kid"])
PY

# --- both exports ----------------------------------------------------------------------------------------------------
mkdir -p "$OUT"
for client in smart-fetch cumulus-etl; do
  [ -z "$(ls -A "$OUT/$client" 2>/dev/null)" ] || die "$OUT/$client is not empty: the clients would resume or refuse"
done
export COLUMNS=400 TERM=dumb NO_COLOR=1 no_proxy="${no_proxy:-},127.0.0.1,localhost" NO_PROXY="${NO_PROXY:-},127.0.0.1,localhost"
failed=0
run() { # NAME COMMAND...
  local name=$1 code=0 started=$SECONDS; shift
  echo; echo "== $name: $*"
  timeout "$LIMIT" "$@" >"$OUT/$name.txt" 2>&1 || code=$?
  grep -v '^─*$' "$OUT/$name.txt" | sed 's/^/   /' || true
  echo "== $name: exit $code after $((SECONDS - started)) s"
  [ "$code" = 0 ] || failed=1
  if grep -q 'Failed to clean up' "$OUT/$name.txt"; then echo "== $name: the export could not be deleted"; failed=1; fi
}
# shellcheck disable=SC2086  # more arguments are words
run smart-fetch "$VENV/bin/smart-fetch" export "$OUT/smart-fetch" --fhir-url "$BASE" --group "$GROUP" \
  --smart-client-id "$CLIENT_ID" --smart-key "$key" --export-mode bulk --type "$TYPES" \
  --no-default-filters --hydration-tasks none --no-compression ${SMART_FETCH_ARGS:-}
# shellcheck disable=SC2086
run cumulus-etl "$VENV/bin/cumulus-etl" export "$BASE/Group/$GROUP" "$OUT/cumulus-etl" \
  --smart-client-id "$CLIENT_ID" --smart-key "$key" --type "$TYPES" ${CUMULUS_ETL_ARGS:-}

# --- what they wrote ----------------------------------------------------------------------------------------------------
echo
"$VENV/bin/python" - "$OUT" "$TYPES" <<'PY' || failed=1
import collections, gzip, json, pathlib, sys
out, types = pathlib.Path(sys.argv[1]), set(sys.argv[2].split(","))
bad, got = [], {}

def lines(path):
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [line for line in raw.decode().split("\n") if line.strip()]

def check(client, folder):
    if not (folder / "log.ndjson").is_file():
        return bad.append(f"{client}: no log.ndjson")
    log = [json.loads(line) for line in lines(folder / "log.ndjson")]
    events = collections.defaultdict(list)
    for event in log:
        events[event["eventId"]].append(event["eventDetail"])
    for name in ("kickoff", "status_complete", "manifest_complete", "export_complete"):
        if len(events[name]) != 1:
            bad.append(f"{client}: {len(events[name])} x {name} in its log")
    for name in ("status_error", "download_error"):
        for event in events[name]:
            if event.get("code") in (429, 503):  # tried again after a while, as asked
                print(f"note: {client}: {name}: {event.get('message')}")
            else:
                bad.append(f"{client}: {name}: {event.get('message')}")
    seen, files = collections.Counter(), sorted(folder.glob("*.ndjson*"))
    files = [path for path in files if path.name != "log.ndjson"]
    counts = []
    for path in files:
        wanted, rows = path.name.split(".")[0], lines(path)
        print(f"{len(rows):8} lines  {path.relative_to(out)}")
        counts.append(len(rows))
        for row in map(json.loads, rows):
            if row["resourceType"] != wanted:
                bad.append(f"{path}: holds a {row['resourceType']}")
            seen[row["resourceType"], row["id"]] += 1
    for path in sorted(folder.glob("error/*")):
        print(f"{len(lines(path)):8} lines  {path.relative_to(out)}")
    logged = {d["fileUrl"]: d["resourceCount"] for d in events["download_complete"]}
    kinds = {d["fileUrl"]: d["itemType"] for d in events["download_request"]}
    told = sorted(n for url, n in logged.items() if kinds.get(url) == "output")
    if told != sorted(counts):
        bad.append(f"{client}: its log tells of files with {told} lines, there are {sorted(counts)}")
    if events["manifest_complete"] and events["manifest_complete"][0]["totalOutputFileCount"] != len(files):
        bad.append(f"{client}: not all files of the manifest are there")
    for kind in sorted(types - {kind for kind, _ in seen}):
        bad.append(f"{client}: no {kind}")
    twice = [key for key, n in seen.items() if n > 1]
    if twice:
        bad.append(f"{client}: twice: {twice[:3]}")
    got[client] = set(seen)

managed = sorted((out / "smart-fetch").glob("001.*"))
if len(managed) == 1 and (managed[0] / ".metadata").is_file():
    state = json.loads((managed[0] / ".metadata").read_text())
    if state.get("complete") is not True or "bulk-status" in state or set(state.get("done", {})) != types:
        bad.append("smart-fetch: its .metadata does not say that all is done")
    check("smart-fetch", managed[0])
else:
    bad.append("smart-fetch: no result")
check("cumulus-etl", out / "cumulus-etl")
if len(got) == 2 and got["smart-fetch"] != got["cumulus-etl"]:
    bad.append("the two clients got different resources")
for text in bad:
    print("WRONG", text)
if bad:
    sys.exit(1)
print(f"both got the same {len(got['smart-fetch'])} resources")
PY
[ "$failed" = 0 ] || die "FAILED"
echo "real-clients: both clients passed"
