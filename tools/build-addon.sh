#!/bin/sh
# Builds the C add-on for both architectures into src/node/addon/prebuilt/<arch>/headwater.node.
#
#   tools/build-addon.sh           builds what a compiler is there for
#   tools/build-addon.sh --check   builds into a temporary folder and compares with the files in the repository
#
# The same compiler gives the same bytes: no build id, no path, no time in the result. The files in the repository are made
# with gcc 12.2 (Debian 12); a check with another version may report a difference that means nothing.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
source=src/node/addon/headwater.c
target="$root/src/node/addon/prebuilt"
check=no
if [ "${1:-}" = --check ]; then
  check=yes
  target=$(mktemp -d)
  trap 'rm -rf "$target"' EXIT
fi

headers=
for arch in x64 arm64; do
  if [ -f "$root/node_modules/node-linux-$arch/include/node/node_api.h" ]; then
    headers="node_modules/node-linux-$arch/include/node"
  fi
done
if [ -z "$headers" ]; then
  echo "build-addon: skipped, no Node headers under node_modules" >&2
  exit 0
fi

status=0
for arch in x64 arm64; do
  case "$arch" in
    x64) triple=x86_64-linux-gnu ;;
    arm64) triple=aarch64-linux-gnu ;;
  esac
  if ! command -v "$triple-gcc" >/dev/null 2>&1; then
    echo "build-addon: $arch skipped, no $triple-gcc" >&2
    continue
  fi
  mkdir -p "$target/$arch"
  (cd "$root" && "$triple-gcc" -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -s -fvisibility=hidden \
    -Wl,--build-id=none -Wl,-z,relro,-z,now -I "$headers" -o "$target/$arch/headwater.node" "$source")
  if [ "$check" = yes ]; then
    if cmp -s "$target/$arch/headwater.node" "$root/src/node/addon/prebuilt/$arch/headwater.node"; then
      echo "build-addon: $arch is what the source gives"
    else
      echo "build-addon: $arch differs from what $($triple-gcc -dumpfullversion) makes of the source" >&2
      status=1
    fi
  fi
done
exit $status
