#!/usr/bin/env bash
# setup.sh build|test|fuzz: installs the Debian packages that are missing for it, and says which and why.
# Without root it prints the one line to run instead, and stops.
set -euo pipefail

build=(
  "g++:the compiler" "cmake:the build" "ninja-build:the build" "ccache:quick rebuilds"
  "libboost1.81-dev:sockets, coroutines, HTTP" "libboost-json1.81-dev:JSON" "libexpected-dev:results"
  "libfmt-dev:formatting" "libcli11-dev:flags" "libyaml-cpp-dev:configuration files" "libpcre2-dev:tokenizer patterns"
  "libhowardhinnant-date-dev:time zones" "libutf8proc-dev:Unicode normalization" "libcurl4-openssl-dev:model downloads" "libssl-dev:checksums" "libsqlite3-dev:the journal" "libpq-dev:the journal on PostgreSQL"
  "libgoogle-perftools-dev:the allocator" "libxxhash-dev:checksums of packed weights"
  "libgtest-dev:tests" "python3:scripts" "python3-pip:models carried by Python packages" "ca-certificates:TLS"
  "git:the version stamp" "curl:the readiness check" "pkg-config:finding libraries"
)
test=("python3-venv:test clients" "postgresql:a server that the ledger's tests start")
fuzz=("clang-14:libFuzzer" "libclang-rt-14-dev:libFuzzer")

wanted=("${build[@]}")
case "${1:-build}" in
  build) ;;
  test) wanted+=("${test[@]}") ;;
  fuzz) wanted+=("${fuzz[@]}") ;;
  *) echo "usage: tools/setup.sh build|test|fuzz" >&2; exit 2 ;;
esac

missing=()
for entry in "${wanted[@]}"; do
  package=${entry%%:*}
  if ! dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed'; then
    missing+=("$package")
    echo "setup: missing $package (${entry#*:})"
  fi
done
[ ${#missing[@]} -eq 0 ] && exit 0

command -v apt-get >/dev/null || { echo "setup: no apt-get here; install by hand: ${missing[*]}" >&2; exit 1; }
if [ "$(id -u)" -ne 0 ]; then
  echo "setup: not root; run this once, then again what you just ran:" >&2
  echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
echo "setup: installing ${#missing[@]} packages with apt-get"
log=$(mktemp)
install_missing() {
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
}
if ! install_missing >"$log" 2>&1; then
  tail -n 15 "$log" >&2
  echo "setup: apt-get failed; the whole log is in $log" >&2
  exit 1
fi
rm -f "$log"
