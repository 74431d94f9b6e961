#!/usr/bin/env bash
# What systemd itself says of the units: they can be loaded, and how much each is exposed (0 is best). Nothing
# is installed or started. Run: deploy/systemd/verify.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# A root of its own, so that what this machine has installed does not matter.
units=$root/etc/systemd/system
mkdir -p "$units" "$root/usr/local/bin" "$root/usr/lib/systemd/system" "$root/etc"
cp -r "$here"/*.service "$here"/sluice-.service.d "$units/"
# What is generic (network-online.target and the like) is the machine's.
cp -r /lib/systemd/system/. "$root/usr/lib/systemd/system/"
ln -s usr/lib "$root/lib"
for program in sluice sluice-gateway sluice-coordinator sluice-worker; do
    printf '#!/bin/true\n' > "$root/usr/local/bin/$program"
    chmod 0755 "$root/usr/local/bin/$program"
done
printf 'root:x:0:0::/:/bin/sh\nsluice:x:900:900::/:/bin/false\n' > "$root/etc/passwd"
printf 'root:x:0:\nsluice:x:900:\n' > "$root/etc/group"

for unit in "$here"/*.service; do
    name=$(basename "$unit")
    said=$(systemd-analyze verify --root="$root" --man=no --recursive-errors=no "$name" 2>&1) || {
        printf '%s\n' "$said"
        exit 1
    }
    # It also tells of what is no error to it, such as a directive that it does not know.
    if grep -F sluice- <<< "$said"; then exit 1; fi
    # The threshold is tenths.
    systemd-analyze security --offline=true --root="$root" --threshold=20 --no-pager "$name" | tail -1
done
