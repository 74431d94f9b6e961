#!/usr/bin/env bash
# The steps of docs/VM.md, within the machine that try.sh boots.
set -euo pipefail
say() { printf '\n== %s\n' "$*"; }
ready() {
    for _ in $(seq 30); do
        if curl -fsS "http://127.0.0.1:9090/readyz" 2> /dev/null; then return; fi
        sleep 1
    done
    journalctl -u sluice-serve --no-pager | tail -20
    return 1
}

say "install the units and the user"
install -D -m 0644 systemd/sluice.sysusers.conf /etc/sysusers.d/sluice.conf
systemd-sysusers
install -D -m 0644 systemd/sluice-.service.d/10-hardening.conf \
    /etc/systemd/system/sluice-.service.d/10-hardening.conf
install -m 0644 systemd/sluice-*.service /etc/systemd/system/

say "settings and the secret"
install -d -m 0755 /etc/sluice
install -d -m 0700 /etc/sluice/secrets
(umask 077 && openssl rand -base64 32 > /etc/sluice/secrets/admin-secret)
cat > /etc/sluice/sluice.toml <<'TOML'
[server]
listen = "127.0.0.1:8080"
public_url = "http://127.0.0.1:8080"

[tenants.default]
source = "ndjson:/srv/fhir"
TOML

say "data"
install -d -o root -g sluice -m 0750 /srv/fhir
sluice sample --patients 50 --out /tmp/sample > /dev/null
install -o root -g sluice -m 0640 /tmp/sample/*.ndjson /srv/fhir/

say "start"
systemctl daemon-reload
systemctl enable --now sluice-serve
ready

say "a client, and its export"
sluice clients add --id me --generate --admin http://127.0.0.1:9090 \
    --admin-secret-file /etc/sluice/secrets/admin-secret > /dev/null
export_group() {
    sluice export --server http://127.0.0.1:8080/default/fhir --client-id me --key me.jwk \
        --group diabetes-registry --out "$1"
}
export_group /tmp/export-1

say "an orderly restart, then a kill: systemd starts it again, and clients are known still"
systemctl restart sluice-serve
ready
systemctl kill --signal=SIGKILL sluice-serve
sleep 6
ready
test "$(systemctl show --property=NRestarts --value sluice-serve)" = 1
export_group /tmp/export-2

say "what it may do, and what it wrote"
systemd-analyze security --no-pager sluice-serve | tail -1
systemctl show --property=MemoryPeak,TasksCurrent sluice-serve
find /var/lib/sluice -maxdepth 1 -printf '%M %u %f\n'
# The secret is nowhere but where it was put, and where systemd hands it to the process.
if tr '\0' '\n' < "/proc/$(systemctl show -p MainPID --value sluice-serve)/environ" \
    | grep -qF "$(cat /etc/sluice/secrets/admin-secret)"; then
    echo "the secret is in the environment"
    exit 1
fi
systemctl stop sluice-serve
test "$(systemctl show --property=Result --value sluice-serve)" = success
say "done"
