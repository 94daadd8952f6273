#!/bin/sh
# check_symbols.sh NAMESPACE=OBJECT…: fails when an object file built for one instruction set holds
# a function that the linker may share with other files (a weak symbol) and that is not of its own
# namespace: such a function could end up being called on a machine that cannot run it.
status=0
for pair in "$@"; do
  space=${pair%%=*}
  object=${pair#*=}
  shared=$(nm -C "$object" | grep ' [WVu] ' | grep -v "mill::tensor::$space::Simd")
  if [ -n "$shared" ]; then
    echo "$object shares with other files:"
    echo "$shared"
    status=1
  fi
  nm -C "$object" | grep -q "mill::tensor::$space::Simd" || { echo "$object: nothing of $space"; status=1; }
done
exit $status
