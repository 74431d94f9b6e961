"""What schemathesis cannot make up: access tokens, and tenants, groups, exports and files that are there.

BASE    FHIR base URL; none if the admin port is asked
KEY     private JWK of the client `schemathesis`; none where authorization is off
SECRET  of the admin port
URL     where the admin port is
"""

import atexit
import base64
import collections
import collections.abc
import json
import os
import random
import sys
import time
import urllib.parse

import jwt
import requests
import schemathesis

BASE, KEY, SECRET = (os.environ.get(name) for name in ("BASE", "KEY", "SECRET"))
CLIENT = "schemathesis"
# How often a value that fits stands in for one that was made up.
OFTEN = 0.7
# How often one is left out.
SELDOM = 0.3
# The same values in every run, as the requests are the same and in the same order.
chance = random.Random(7)


def assertion(url):
    """What the client signs to get a token; it works once."""
    with open(KEY) as file:
        key = json.load(file)
    key = key.get("keys", [key])[0]
    now = int(time.time())
    claims = {"iss": CLIENT, "sub": CLIENT, "aud": url, "exp": now + 200, "jti": os.urandom(16).hex()}
    return jwt.encode(claims, jwt.PyJWK(key).key, key["alg"], {"kid": key["kid"]})


def token_form(url):
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", "client_assertion_type": kind}
    return {**form, "client_assertion": assertion(url)}


def token():
    if not KEY:
        return None
    got = requests.post(TOKEN_URL, data=token_form(TOKEN_URL), timeout=10)
    got.raise_for_status()
    return got.json()["access_token"]


@schemathesis.auth(refresh_interval=200)
class Shown:
    def get(self, case, context):
        return token() if BASE else SECRET

    def set(self, case, data, context):
        # Now and then it is somebody whom nobody knows; and a form for a token is refused with a token.
        wanted = 1 - OFTEN if case.path.endswith("/token") else 0.9
        if data and chance.random() < wanted:
            case.headers["Authorization"] = f"Bearer {data}"


def shown():
    return {"Authorization": f"Bearer {token()}"} if KEY else {}


def finished(status):
    """The last answer to polls of an export."""
    headers = shown()
    for _ in range(600):
        got = requests.get(status, headers=headers, timeout=10)
        if got.status_code != 202:
            break
        time.sleep(0.1)
    return got


def exported(operation, **how):
    """A finished export: what fits the parameters of its status and of its first file, and the file's query."""
    started = requests.request(how.pop("method", "GET"), f"{BASE}/{operation}", headers=shown(), timeout=10, **how)
    status = started.headers["Content-Location"]
    got = finished(status)
    url = urllib.parse.urlsplit(got.json()["output"][0]["url"])
    job, (_, part, attempt, name) = status.rsplit("/", 1)[1], url.path.rsplit("/", 3)
    path = base64.urlsafe_b64encode(f"data/{part}/{attempt}/{name}".encode()).decode().rstrip("=")
    fits = {"job": job, "part": part, "attempt": attempt, "name": name}
    fits["soarian"], fits["millennium"] = f"{path}_{name.split('.')[0]}.ndjson", f"{job}.{path}"
    return fits, dict(urllib.parse.parse_qsl(url.query))


if BASE:
    TOKEN_URL = BASE.removesuffix("/fhir") + "/oauth2/token"
    BALLOT = {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueString": "Patient"}]}
    KEPT = [exported("Patient/$export"), exported("Patient/$export-v4", method="POST", json=BALLOT)]
    DOOMED = exported("Group/diabetes-registry/$export")
if SECRET:
    doomed = {"id": "doomed", "scopes": ["system/*.rs"]}
    admin = {"Authorization": f"Bearer {SECRET}"}
    added = requests.post(f"{os.environ['URL']}/clients/default", json=doomed, headers=admin, timeout=10)
    added.raise_for_status()

FITTING = {
    "_type": ["Patient", "Condition", "Observation", "Group"],
    "_typeFilter": ["Patient?gender=female", "Observation?status=final&date=ge2020", "Condition?code:not=x"],
    "_elements": ["Patient.name", "id", "Observation.status"],
    "_since": ["2020-01-01T00:00:00Z", "2026-02-30T00:00:00Z"],
    "_until": ["2030-01-01T00:00:00+01:00"],
    "_outputFormat": ["ndjson"],
    "organizeOutputBy": ["Patient"],
    "includeAssociatedData": ["LatestProvenanceResources"],
    "patient": ["Patient/p1"],
    "page": ["1"],
    "Idempotency-Key": ["a-key", ""],
    "Range": ["bytes=0-99", "bytes=-1", "bytes=999999999-"],
    "If-None-Match": ["*"],
    "If-Range": ['"x"'],
    "_id": ["diabetes-registry"],
    "scopes": [["system/*.rs"]],
    "groups": [["diabetes-registry"]],
    "levels": [["group"]],
    "limits": [{"most_running": 3}],
    "jwks_url": ["https://client.example.org/jwks.json"],
}
# What never fits if it is made up.
SELDOM_SENT = ["jwks", "version"]


def better(values, name, fitting, often=OFTEN):
    if name in values and chance.random() < often:
        values[name] = fitting


@schemathesis.hook
def before_call(context, case, kwargs):
    better_path(case)
    for values in [case.query, case.headers, case.body]:
        if not isinstance(values, collections.abc.MutableMapping):
            continue
        for name in sorted(set(values) & set(FITTING)):
            better(values, name, chance.choice(FITTING[name]))
            if chance.random() < SELDOM:
                del values[name]
        for name in SELDOM_SENT:
            if name in values and chance.random() < OFTEN:
                del values[name]
    if case.path.endswith("/token"):
        if KEY and chance.random() < OFTEN:
            case.body = token_form(TOKEN_URL)
    elif isinstance(case.body, dict) and isinstance(case.body.get("parameter"), list):
        for entry in case.body["parameter"]:
            better_entry(entry)


def better_path(case):
    path = case.path_parameters or {}
    fitting = {"tenant": "default", "group": "diabetes-registry", "id": "group-export-v4"}
    fitting["client"] = "doomed" if case.method == "DELETE" else CLIENT
    if BASE:
        fits, link = DOOMED if case.method == "DELETE" else chance.choice(KEPT)
        fitting.update(fits)
        fitting["file"] = fits["soarian" if "/bulk-api/" in case.path else "millennium"]
        if "{file}" in case.path or "{name}" in case.path:
            if chance.random() < OFTEN:
                case.query = {**(case.query or {}), **link}
    # All at once, or some of them.
    often = 1 if chance.random() < OFTEN else OFTEN
    for name, value in fitting.items():
        better(path, name, value, often)


def better_entry(entry):
    name = entry.get("name") if isinstance(entry, dict) else None
    if isinstance(name, str) and name in FITTING:
        value = chance.choice(FITTING[name])
        for field in [field for field in entry if field.startswith("value")]:
            better(entry, field, {"reference": value} if field == "valueReference" else value)


SEEN = collections.defaultdict(collections.Counter)
STARTED = []


@schemathesis.hook
def after_call(context, case, response):
    # Those that the document does not have are asked too.
    if case.method.upper() == case.operation.method.upper():
        SEEN[case.operation.label][response.status_code] += 1
    if response.status_code == 202 and case.method != "DELETE":
        STARTED.append(response.headers["content-location"][0])


@atexit.register
def tell():
    """Says what was answered, and fails if an operation was never done or an export failed."""
    wrong = []
    for operation, statuses in sorted(SEEN.items()):
        told = ", ".join(f"{status} x {times}" for status, times in sorted(statuses.items()))
        print(f"{operation:75} {told}")
        needs_key = "/oauth2/" in operation or "smart-configuration" in operation
        if min(statuses) >= 400 and (KEY or not needs_key):
            wrong.append(f"{operation}: nothing but refusals")
    ends = collections.Counter(finished(status).status_code for status in STARTED)
    print("how the exports ended that were started:", dict(ends))
    if set(ends) - {200}:
        wrong.append("an export did not come to a good end")
    for text in wrong:
        print("WRONG", text)
    if wrong:
        # There is no other way for one who is called at the end.
        sys.stdout.flush()
        os._exit(1)
