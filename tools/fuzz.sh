#!/usr/bin/env bash
# fuzz.sh [SECONDS [TARGET]]: fuzzes a target for so long (60) under AddressSanitizer and UBSan: gguf (model files, unless another is
# named), packed (heads of packed weights) or tokenizer. Exit 1 when it broke; the input that broke it is then under build/fuzz/found, and
# `build/fuzz/src/…/mill_TARGET_fuzz FILE` runs it again.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
target=${2:-gguf}
case $target in
  gguf|packed) room=model ;;
  tokenizer) room=text ;;
  *) echo "fuzz.sh: no target '$target': gguf, packed or tokenizer" >&2; exit 2 ;;
esac
program=build/fuzz/src/$room/mill_${target}_fuzz

cmake --preset fuzz -Wno-dev --log-level=WARNING
cmake --build --preset fuzz --target "mill_${target}_fuzz" "mill_${target}_fuzz_seeds"
corpus=build/fuzz/corpus/$target
mkdir -p "$corpus" build/fuzz/found
"${program}_seeds" "$corpus"

# No allocation may be larger than the memory that a model file may cost besides itself.
"$program" "$corpus" \
  -max_total_time="$seconds" -max_len=32768 -timeout=5 -malloc_limit_mb=64 -rss_limit_mb=1024 \
  -artifact_prefix=build/fuzz/found/ -print_final_stats=1 2>&1 |
  grep -v -e $'\tNEW ' -e $'\tREDUCE ' -e $'\tpulse ' -e '# Uses: ' -e '###### ' -e 'NEW_FUNC'
