#!/usr/bin/env bash
# Runs schemathesis from PyPI against a server, by an OpenAPI document. Fails on a 5xx, and on a status, a media type, a
# header or a body that the document does not have.
#
#   DOCUMENT=docs/openapi.json URL=http://127.0.0.1:8080 BASE=http://127.0.0.1:8080/default/fhir KEY=client.jwk \
#   VENV=/tmp/venv OUT=/tmp/out  run.sh --exclude-tag probes --exclude-tag clients
#
# DOCUMENT  the document
# URL       what its paths are below, in place of its servers
# BASE, KEY, SECRET  see hooks.py
# VENV      folder of the virtual environment: 90 MB, made the first time
# OUT       folder for what schemathesis leaves behind
# EXAMPLES, SEED  optional: requests that are made up for each operation, beside those at the edges of its schemas; and
#           what they are made from
# PYTHON    optional: Python 3.10 or newer, default python3
set -euo pipefail
: "${DOCUMENT:?}" "${URL:?}" "${VENV:?}" "${OUT:?}"
EXAMPLES=${EXAMPLES:-30} SEED=${SEED:-7} PYTHON=${PYTHON:-python3}

requirements() { cat <<'REQ'
anyio==4.16.0
certifi==2026.10.19.post1
cffi==2.1.1
charset-normalizer==3.5.3
click==8.5.1
cryptography==50.0.2
graphql-core==3.3.2
harfile==0.6.0
hypothesis==6.170.17
hypothesis-graphql==0.13.5
idna==3.20
iniconfig==2.3.1
jsonschema_rs==0.60.3
markdown-it-py==4.3.0
MarkupSafe==3.0.4
mdurl==0.1.2
packaging==26.4
pluggy==1.7.0
pycparser==3.12
Pygments==2.21.0
PyJWT==2.15.1
pyrate-limiter==4.5.1
pytest==9.2.0
PyYAML==6.0.4
requests==2.34.2
rich==15.0.0
schemathesis==4.32.5
sortedcontainers==2.4.0
typing_extensions==4.16.0
urllib3==2.8.0
Werkzeug==3.1.9
REQ
}
export PIP_DISABLE_PIP_VERSION_CHECK=1
if ! requirements | cmp -s - "$VENV/schemathesis.installed"; then
  echo "installing schemathesis into $VENV"
  [ -x "$VENV/bin/pip" ] || "$PYTHON" -m venv "$VENV"
  requirements >"$VENV/requirements.txt"
  "$VENV/bin/pip" install --quiet -r "$VENV/requirements.txt"
  "$VENV/bin/pip" check
  mv "$VENV/requirements.txt" "$VENV/schemathesis.installed"
fi

document=$(realpath "$DOCUMENT") venv=$(realpath "$VENV")
SCHEMATHESIS_HOOKS=$(realpath "$(dirname "$0")")/hooks.py
export SCHEMATHESIS_HOOKS PYTHONDONTWRITEBYTECODE=1
export no_proxy="${no_proxy:-},127.0.0.1,localhost" NO_PROXY="${NO_PROXY:-},127.0.0.1,localhost"
mkdir -p "$OUT"
cd "$OUT"
# The others of its checks ask for what is no promise here, such as that every value that fits the schema is accepted.
exec "$venv/bin/schemathesis" run "$document" --url "$URL" --seed "$SEED" --max-examples "$EXAMPLES" \
  --phases examples,coverage,fuzzing --generation-database none --no-color --warnings off --workers 1 \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance \
  "$@"
