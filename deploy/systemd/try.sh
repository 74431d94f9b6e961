#!/usr/bin/env bash
# Goes through docs/VM.md in a Debian 12 of its own with systemd as its first process: installs the units, starts
# sluice-serve, registers a client, exports, stops and kills the process. Needs root, debootstrap and
# systemd-container. Run: deploy/systemd/try.sh PROGRAM [FOLDER]; PROGRAM is a `sluice` that runs on Debian 12.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "${1:?usage: try.sh PROGRAM [FOLDER]}")
folder=${2:-$here/../../target/vm}
mkdir -p "$folder"
folder=$(realpath "$folder")
root=$folder/root

if [ ! -e "$folder/base/etc/debian_version" ]; then
    rm -rf "$folder/base"
    debootstrap --variant=minbase --include=systemd,systemd-sysv,ca-certificates,curl,openssl \
        bookworm "$folder/base" http://deb.debian.org/debian > "$folder/debootstrap.log"
fi
rm -rf "$root"
cp -a "$folder/base" "$root"
: > "$root/etc/machine-id"
install -m 0755 "$program" "$root/usr/local/bin/sluice"
mkdir "$root/root/systemd"
cp -r "$here/." "$root/root/systemd/"
install -m 0755 "$here/try-inside.sh" "$root/root/try-inside.sh"

# A network of its own: its ports are nobody else's.
systemd-nspawn --directory="$root" --boot --register=no --keep-unit --private-network \
    --machine=sluice-try < /dev/null > "$folder/boot.log" 2>&1 &
nspawn=$!
first=
# What it started ends with its first process, whatever happened to it.
trap '[ -n "$first" ] && kill -RTMIN+4 "$first" 2> /dev/null; wait "$nspawn" || true' EXIT
for _ in $(seq 60); do
    first=$(pgrep -P "$nspawn" | head -1 || true)
    if [ -n "$first" ] && nsenter -t "$first" -a systemctl is-active --quiet basic.target 2> /dev/null; then break; fi
    sleep 1
done
nsenter -t "$first" -a bash -c 'cd /root && bash try-inside.sh'
