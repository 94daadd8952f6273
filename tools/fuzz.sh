#!/usr/bin/env bash
# fuzz.sh [SECONDS]: fuzzes the model file loader for so long (60) under AddressSanitizer and UBSan. Exit 1 when it broke; the
# input that broke it is then under build/fuzz/found, and `build/fuzz/src/model/mill_gguf_fuzz FILE` runs it again.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}

cmake --preset fuzz -Wno-dev --log-level=WARNING
cmake --build --preset fuzz --target mill_gguf_fuzz mill_gguf_fuzz_seeds
corpus=build/fuzz/corpus/gguf
mkdir -p "$corpus" build/fuzz/found
build/fuzz/src/model/mill_gguf_fuzz_seeds "$corpus"

# No allocation may be larger than the memory that a model file may cost besides itself.
build/fuzz/src/model/mill_gguf_fuzz "$corpus" \
  -max_total_time="$seconds" -max_len=32768 -timeout=5 -malloc_limit_mb=64 -rss_limit_mb=1024 \
  -artifact_prefix=build/fuzz/found/ -print_final_stats=1 2>&1 |
  grep -v -e $'\tNEW ' -e $'\tREDUCE ' -e $'\tpulse ' -e '# Uses: ' -e '###### ' -e 'NEW_FUNC'
