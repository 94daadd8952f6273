#!/usr/bin/env bash
# run.sh: fetches the default model if needed, starts the server, waits until it is ready, prints how to use it, and stays with it.
# Called by `make run`. PORT=8080 and MODEL=smollm2-135m can be given.
set -euo pipefail
cd "$(dirname "$0")/.."
mill=build/release/src/app/tokenmill
model=${MODEL:-smollm2-135m}
port=${PORT:-8080}

"$mill" models pull "$model"
"$mill" serve --open --model "$model" --host 127.0.0.1 --port "$port" &
server=$!
trap 'kill -TERM $server 2>/dev/null && wait $server || true' EXIT
trap 'exit 0' INT TERM

for _ in $(seq 1 600); do
  kill -0 $server 2>/dev/null || { wait $server || exit $?; exit 1; }
  curl -fsS -o /dev/null "http://127.0.0.1:$port/ready" 2>/dev/null && break
  sleep 0.1
done
cat <<EOF

tokenmill serves $model on http://127.0.0.1:$port, without keys, to this machine   (Ctrl-C ends it)

  curl -N http://127.0.0.1:$port/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{"model": "$model", "stream": true, "messages": [{"role": "user", "content": "What is a mill?"}]}'

  # pip install openai
  python3 -c '
from openai import OpenAI
client = OpenAI(base_url="http://127.0.0.1:$port/v1", api_key="none")
for chunk in client.chat.completions.create(model="$model", stream=True,
        messages=[{"role": "user", "content": "What is a mill?"}]):
    print(chunk.choices[0].delta.content or "", end="", flush=True)
print()'

EOF
wait $server
