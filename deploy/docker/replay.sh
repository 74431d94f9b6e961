#!/usr/bin/env bash
# Builds the image where there is neither a Docker engine nor a registry of images, and tries it: Debian's buildah
# goes through the Dockerfile as it is, from two base images that debootstrap makes of Debian's packages (the one
# with Rust gets this machine's toolchain). Then what is in the image is looked at and run as a container would.
# docs/IMAGE.md says what was seen.
#
#   deploy/docker/replay.sh [FOLDER]              every stage; compiles all of it, half an hour of two processors
#   PROGRAMS=DIR deploy/docker/replay.sh [FOLDER]  the last stage only, with the four programs as they lie in DIR
#
# Needs root, debootstrap and buildah (apt-get install debootstrap buildah). Writes below FOLDER, target/image.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
folder=${1:-$source/target/image}
mkdir -p "$folder"
folder=$(realpath "$folder")
rust=docker.io/library/rust:1.95.0-slim-bookworm
debian=docker.io/library/debian:bookworm-slim
say() { printf '\n== %s\n' "$*"; }
buildah() {
    command buildah --root "$folder/storage" --runroot "$folder/run" --storage-driver overlay "$@"
}

# An image with what lies in a folder, under a name that the Dockerfile has in FROM.
image_of() {
    local name=$1 root=$2 container mounted
    shift 2
    container=$(buildah from scratch)
    mounted=$(buildah mount "$container")
    cp -a "$root/." "$mounted/"
    buildah umount "$container" > /dev/null
    if [ $# -gt 0 ]; then buildah config "$@" "$container"; fi
    buildah commit --quiet --rm "$container" "$name" > /dev/null
}

bases() {
    say "base images by debootstrap"
    local runtime=$folder/bookworm builder=$folder/builder
    debootstrap --variant=minbase bookworm "$runtime" http://deb.debian.org/debian > "$folder/debootstrap.log"
    cp -a "$runtime" "$builder"
    cp /etc/resolv.conf "$builder/etc/resolv.conf"
    {
        chroot "$builder" apt-get update
        chroot "$builder" apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev
    } >> "$folder/debootstrap.log" 2>&1
    # What the slim images are without.
    for root in "$runtime" "$builder"; do
        rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,info,locale}/* \
            "$root"/var/log/{apt,dpkg.log,bootstrap.log}
    done
    local toolchain
    toolchain=$(realpath "$(rustc +1.95.0 --print sysroot)")
    mkdir -p "$builder"/usr/local/{rust/bin,cargo/bin}
    cp -a "$toolchain"/bin/{cargo,rustc} "$builder/usr/local/rust/bin/"
    cp -a "$toolchain"/{lib,libexec} "$builder/usr/local/rust/"
    # Authorities that this machine trusts for its registry, beside Debian's; they are cargo's only.
    cp "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$builder/usr/local/cargo/roots.crt"
    printf '[http]\ncainfo = "/usr/local/cargo/roots.crt"\n' > "$builder/usr/local/cargo/config.toml"
    image_of "$debian" "$runtime"
    image_of "$rust" "$builder" --env CARGO_HOME=/usr/local/cargo \
        --env PATH=/usr/local/cargo/bin:/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    rm -rf "$runtime" "$builder"
}

build() {
    say "the Dockerfile, by $(command buildah --version)"
    local dockerfile=$here/Dockerfile context=$source
    if [ -n "${PROGRAMS:-}" ]; then
        # A stage in place of the builder's stages, which has what the last one copies from there.
        dockerfile=$folder/Dockerfile context=$folder/context
        rm -rf "$context"
        mkdir -p "$context/programs"
        cp "$PROGRAMS"/sluice{,-gateway,-coordinator,-worker} "$context/programs/"
        {
            printf 'FROM %s AS build\nCOPY programs /programs\n' "$rust"
            sed -n '/^FROM docker.io.library.debian/,$p' "$here/Dockerfile"
        } > "$dockerfile"
    fi
    # --layers, so that a second run takes from the first what did not change. Docker's format, because OCI's
    # has no HEALTHCHECK.
    buildah bud --isolation chroot --network host --layers --format docker --pull-never \
        --build-arg VERSION="$(sed -n 's/^version = "\(.*\)"/\1/p' "$source/Cargo.toml" | head -1)" \
        --build-arg REVISION="$(git -C "$source" rev-parse HEAD 2> /dev/null || echo unknown)" \
        -f "$dockerfile" -t sluice:local "$context"
}

check() {
    say "the image"
    buildah images --format '{{.Name}}:{{.Tag}} {{.Size}}' | grep -E 'sluice:|debian:'
    buildah inspect --type image sluice:local > "$folder/config.json"
    python3 - "$folder/config.json" << 'PYTHON'
import json, sys
config = json.load(open(sys.argv[1]))["Docker"]["config"]
labels = config["Labels"]
assert config["User"] == "65532:65532", config["User"]
assert config["Healthcheck"]["Test"][-2:] == ["sluice", "health"], config["Healthcheck"]
assert config.get("StopSignal", "SIGTERM") == "SIGTERM", config
for name in ("title", "licenses", "version", "revision"):
    assert labels["org.opencontainers.image." + name] not in ("", "unknown"), name
print("user", config["User"], "| health", config["Healthcheck"]["Test"], "| version",
      labels["org.opencontainers.image.version"], labels["org.opencontainers.image.revision"][:12])
PYTHON
    local container mounted
    container=$(buildah from --pull-never sluice:local)
    mounted=$(buildah mount "$container")
    ls -l "$mounted/usr/local/bin" | awk 'NR > 1 {printf "%-20s %d KiB\n", $NF, $5 / 1024}'
    say "as uid 65532, on a root that cannot be written to, with a /tmp of its own"
    # A mount namespace ends with the command, and so does all that is mounted in it.
    unshare --mount --net --pid --fork bash -euo pipefail -c '
        root=$1
        ip link set lo up 2> /dev/null || true
        mount --bind "$root" "$root"
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount -t tmpfs tmpfs "$root/tmp"
        mount -o remount,bind,ro "$root"
        inside() { chroot --userspec=65532:65532 "$root" env -i PATH=/usr/local/bin:/usr/bin:/bin "$@"; }
        for program in sluice sluice-gateway sluice-coordinator sluice-worker; do
            inside "$program" --version
            if inside ldd "/usr/local/bin/$program" | grep "not found"; then exit 1; fi
        done
        inside sluice-gateway --check
        for folder in / /etc /usr/local/bin /data; do
            if inside touch "$folder/x" 2> /dev/null; then echo "$folder can be written to"; exit 1; fi
        done
        inside sluice demo --patients 20 --dir /tmp/demo | tail -12
        # An admin port without anybody: the health check must fail, and not hang.
        if inside sluice health --help > /dev/null 2>&1; then
            if inside SLUICE_ADMIN__LISTEN=127.0.0.1:9090 timeout 10 sluice health; then exit 1; fi
        else
            echo "NOT TRIED: these programs do not have sluice health"
        fi
    ' bash "$mounted"
    buildah umount "$container" > /dev/null
    buildah rm "$container" > /dev/null
    say "done"
}

if ! buildah inspect --type image "$rust" > /dev/null 2>&1; then bases; fi
build
check
