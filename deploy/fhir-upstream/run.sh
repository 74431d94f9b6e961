#!/usr/bin/env bash
# Exports a FHIR server that others wrote through `sluice serve`, and compares what comes out with what was put
# in and with what a folder of the same data gives:
#   sekmet-fhir 0.1.1 from PyPI (FastAPI and SQLite), unchanged
#
#   deploy/fhir-upstream/run.sh                 from the root of the repository
#
# SLUICE     the program; default target/release/sluice
# PATIENTS   sample patients, default 25 (about 350 resources each)
# WORK       folder for data and results, default target/fhir-upstream; what is in it is deleted
# VENV       folder of the virtual environment, default target/tools/sekmet (150 MB), kept
# UPSTREAM_PORT, FHIR_PORT, FOLDER_PORT  ports on loopback; default 18090, 18091, 18092
# PYTHON     Python 3.11 or newer, default python3
#
# Exit 0 only if every level gave the same resources, each once, as the folder; but for types that the server holds
# without declaring them, and for what it holds of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."
SLUICE=${SLUICE:-target/release/sluice} PATIENTS=${PATIENTS:-25} PYTHON=${PYTHON:-python3}
WORK=$(realpath -m "${WORK:-target/fhir-upstream}") VENV=$(realpath -m "${VENV:-target/tools/sekmet}")
UPSTREAM_PORT=${UPSTREAM_PORT:-18090} FHIR_PORT=${FHIR_PORT:-18091} FOLDER_PORT=${FOLDER_PORT:-18092}
SLUICE=$(realpath "$SLUICE")
export PIP_DISABLE_PIP_VERSION_CHECK=1 no_proxy=127.0.0.1 NO_PROXY=127.0.0.1
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed" >&2; exit 1; }

if ! [ -x "$VENV/bin/sekmet" ]; then
  echo "installing sekmet-fhir 0.1.1 into $VENV"
  "$PYTHON" -m venv "$VENV"
  "$VENV/bin/pip" install --quiet -r deploy/fhir-upstream/requirements.txt
  "$VENV/bin/pip" check
fi

rm -rf "$WORK"; mkdir -p "$WORK"
started=()
stop() { for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done; }
trap stop EXIT
wait_for() { # URL
  for _ in $(seq 100); do
    if curl -sf -o "$WORK/last" "$1"; then return; fi
    sleep 0.2
  done
  echo "nothing answers at $1" >&2; exit 1
}

"$SLUICE" sample --patients "$PATIENTS" --out "$WORK/data"
cat >"$WORK/sekmet.yaml" <<YAML
base_url: http://127.0.0.1:$UPSTREAM_PORT/fhir
host: 127.0.0.1
port: $UPSTREAM_PORT
data_dir: $WORK/sekmet
log_inbound: false
validation: {inbound: "off"}
simulator: {enabled: false}
YAML
"$VENV/bin/sekmet" serve --config "$WORK/sekmet.yaml" >"$WORK/sekmet.log" 2>&1 & started+=($!)
wait_for "http://127.0.0.1:$UPSTREAM_PORT/fhir/metadata"
mv "$WORK/last" "$WORK/capabilities.json"
"$PYTHON" deploy/fhir-upstream/load.py "http://127.0.0.1:$UPSTREAM_PORT/fhir" "$WORK/data"

serve() { # NAME PORT SOURCE
  SLUICE_DATA_DIR="$WORK/$1" SLUICE_SERVER__LISTEN="127.0.0.1:$2" SLUICE_SERVER__AUTHORIZATION=off \
    SLUICE_LOG__FILTER=warn SLUICE_TENANTS__DEFAULT__SOURCE="$3" \
    "$SLUICE" serve >"$WORK/$1.log" 2>&1 & started+=($!)
  wait_for "http://127.0.0.1:$2/default/fhir/metadata"
}
serve of-server "$FHIR_PORT" "http://127.0.0.1:$UPSTREAM_PORT/fhir"
serve of-folder "$FOLDER_PORT" "ndjson:$WORK/data"

export_all() { # NAME PORT
  for level in system patient group; do
    case $level in
      system) words=(--system) ;;
      patient) words=(--patient-level) ;;
      group) words=(--group diabetes-registry) ;;
    esac
    local begun=$SECONDS
    "$SLUICE" export --server "http://127.0.0.1:$2/default/fhir" "${words[@]}" --out "$WORK/out/$1/$level" \
      >"$WORK/out-$1-$level.log" 2>&1 || { tail -5 "$WORK/out-$1-$level.log"; exit 1; }
    echo "$1, $level level: $((SECONDS - begun)) s"
  done
}
mkdir -p "$WORK/out"
export_all of-server "$FHIR_PORT"
export_all of-folder "$FOLDER_PORT"
"$PYTHON" deploy/fhir-upstream/compare.py "$WORK"
