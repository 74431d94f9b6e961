#!/usr/bin/env bash
# The restore drill of docs/BACKUP.md, on servers of its own: exports run, the bucket is copied meanwhile, everything
# is lost (bucket, Redis, RabbitMQ, processes), the copy is put back, and the exports are asked for again.
#
#   cargo build --workspace --bins && cargo xtask stack up
#   deploy/drills/restore.sh [FOLDER WITH THE PROGRAMS]      # target/debug unless told; needs aws, curl, jq, redis-cli
#   cargo xtask stack down
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
bin=$(realpath "${1:-$root/target/debug}")
work=$(mktemp -d)
pids=()
end() {
    for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2> /dev/null || true; done
    pids=()
}
trap 'end; rm -rf "$work"' EXIT
say() { printf '\n== %s\n' "$*"; }
die() { printf 'restore.sh: %s\n' "$*" >&2; tail -n 5 "$work"/*.log >&2; exit 1; }

set -a
# shellcheck source=/dev/null
. "$root/target/stack/env"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
SLUICE_SERVER__LISTEN=127.0.0.1:$port
SLUICE_SERVER__AUTHORIZATION=off
SLUICE_TENANTS__DEFAULT__SOURCE=ndjson:$work/data
# Slow enough to be in the middle of its work when the copy is made.
SLUICE_TENANTS__SLOW__SOURCE='synthetic:?patients=8000&observations=4&read_ms=6000'
SLUICE_TENANTS__SLOW__CHUNK_MIB=1
SLUICE_WORKER__SLOTS=1
SLUICE_LOG__FILTER=warn
# Of their own, so that a stack that others used before makes no difference.
SLUICE_AMQP__PREFIX=drill-$port
SLUICE_REDIS__PREFIX=drill-$port
bucket=drill-$port
SLUICE_PORTS__BLOBS=s3://$bucket
AWS_ACCESS_KEY_ID=$SLUICE_S3__ACCESS_KEY_ID
AWS_SECRET_ACCESS_KEY=$SLUICE_S3__SECRET_ACCESS_KEY
AWS_DEFAULT_REGION=$SLUICE_S3__REGION
AWS_ENDPOINT_URL=$SLUICE_S3__ENDPOINT
AWS_REQUEST_CHECKSUM_CALCULATION=when_required
set +a
server=http://127.0.0.1:$port

begin() {
    for service in gateway coordinator worker; do
        (cd "$work" && exec "$bin/sluice-$service") 2> "$work/$service-$1.log" &
        pids+=("$!")
    done
    for _ in $(seq 120); do
        if curl -fs -o "$work/metadata" "$server/default/fhir/metadata"; then return; fi
        sleep 0.5
    done
    die "the gateway does not answer"
}
kick_off() {
    curl -fsS -o /dev/null -D - -H 'Prefer: respond-async' -H 'Accept: application/fhir+json' "$1" \
        | tr -d '\r' | sed -n 's/^[Cc]ontent-[Ll]ocation: //p'
}
# Polls until there is a manifest, and writes it.
manifest() {
    for _ in $(seq 240); do
        code=$(curl -s -o "$2" -w '%{http_code}' "$1")
        case $code in
            200) return ;;
            202 | 429 | 503) sleep 1 ;;
            *) die "$1 answers $code" ;;
        esac
    done
    die "$1 has no manifest"
}
# What a manifest says of its files, without the links, whose signatures change each time.
content() { jq -S '[.transactionTime, (.output[] | del(.url))]' "$1"; }
# Downloads every file and compares its SHA-256 with the manifest's.
verify() {
    local number=0 url sum
    while IFS=$'\t' read -r url sum; do
        curl -fsS --compressed "$url" | sha256sum | grep -q "^$sum" || die "a file of $1 differs"
        number=$((number + 1))
    done < <(jq -r '.output[] | [.url, ([.. | strings | select(test("^[0-9a-f]{64}$"))][0])] | @tsv' "$1")
    [ "$number" -gt 0 ] || die "$1 names no files"
    echo "$number files, each as its manifest says"
}

say "two exports: one done, one in the middle"
aws s3 mb "s3://$bucket" > /dev/null
aws s3 mb "s3://$bucket-copy" > /dev/null
"$bin/sluice" sample --patients 50 --out "$work/data" > /dev/null
begin before
done_url=$(kick_off "$server/default/fhir/Group/diabetes-registry/\$export")
manifest "$done_url" "$work/done-before.json"
verify "$work/done-before.json"
slow_url=$(kick_off "$server/slow/fhir/Patient/\$export")
for _ in $(seq 60); do
    receipts=$(aws s3 ls --recursive "s3://$bucket/slow/" | grep -c /receipt/ || true)
    if [ "$receipts" -ge 2 ]; then break; fi
    sleep 0.5
done

say "copy the bucket while they run: first all, then again what receipts and manifests name"
aws s3 sync --only-show-errors "s3://$bucket" "s3://$bucket-copy"
aws s3 sync --only-show-errors --exclude '*/receipt/*' --exclude '*/manifest*' "s3://$bucket" "s3://$bucket-copy"
code=$(curl -s -o /dev/null -w '%{http_code}' "$slow_url")
[ "$code" = 202 ] || die "the second export was to be in the middle, but answers $code"
echo "the second export answers $code; receipts in the copy: $(aws s3 ls --recursive "s3://$bucket-copy/slow/" | grep -c /receipt/)"

say "lose everything"
end
aws s3 rm --recursive --only-show-errors "s3://$bucket"
redis-cli -u "$SLUICE_PORTS__INDEX" --scan --pattern "drill-$port*" \
    | xargs -r redis-cli -u "$SLUICE_PORTS__INDEX" del > /dev/null
curl -fsS "$STACK_RABBITMQ_MANAGEMENT/api/queues/%2f" | jq -r '.[].name' | { grep "^drill-$port" || true; } \
    | while read -r queue; do curl -fsS -X DELETE "$STACK_RABBITMQ_MANAGEMENT/api/queues/%2f/$queue"; done
test -z "$(aws s3 ls --recursive "s3://$bucket")"

say "put the copy back, and start"
aws s3 sync --only-show-errors "s3://$bucket-copy" "s3://$bucket"
begin after
manifest "$done_url" "$work/done-after.json"
diff <(content "$work/done-before.json") <(content "$work/done-after.json")
verify "$work/done-after.json"
manifest "$slow_url" "$work/slow.json"
verify "$work/slow.json"
found=$(jq '[.output[] | select(.type == "Patient") | .count] | add' "$work/slow.json")
[ "$found" = 8000 ] || die "the second export has $found patients of 8000"
echo "the second export went on and has all $found patients, T = $(jq -r .transactionTime "$work/slow.json")"
end
aws s3 rb --force "s3://$bucket" > /dev/null
aws s3 rb --force "s3://$bucket-copy" > /dev/null
say "done"
