#!/usr/bin/env bash
# Starts the main job: a core stand-in, two gateways and the balancer in front of them, on embedded sample data.
# Ctrl-C stops everything. Ports can be moved: CORE_PORT, GATEWAY1_PORT, GATEWAY2_PORT, PUBLIC_PORT, ADMIN_PORT.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${BIN:-.build/release}
core=${CORE_PORT:-3300}
gateway1=${GATEWAY1_PORT:-3301}
gateway2=${GATEWAY2_PORT:-3302}
public=${PUBLIC_PORT:-8080}
admin=${ADMIN_PORT:-9901}

for port in "$core" "$gateway1" "$gateway2" "$public" "$admin"; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        echo "run: port $port is in use; set CORE_PORT, GATEWAY1_PORT, GATEWAY2_PORT, PUBLIC_PORT or ADMIN_PORT" >&2
        exit 1
    fi
done

work=$(mktemp -d)
pids=()
stop() {
    trap - INT TERM EXIT
    echo
    echo "run: stopping"
    # The balancer first: it drains while what it forwards to still answers.
    for ((index = ${#pids[@]} - 1; index >= 0; index--)); do
        kill -TERM "${pids[index]}" 2>/dev/null || true
        wait "${pids[index]}" 2>/dev/null || true
    done
    rm -rf "$work"
    echo "run: stopped"
}
trap stop EXIT
trap 'exit 0' INT TERM

start_service() { # name port role
    # Its own process group: Ctrl-C reaches this script alone, which then stops things in order.
    setsid "$bin/gateway" serve --port "$2" --role "$3" --identify "$1" >"$work/$1.log" 2>&1 &
    pids+=($!)
}

await() { # name url
    for ((try = 0; try < 300; try++)); do
        if curl -fsS -o /dev/null --max-time 1 "$2" 2>/dev/null; then return 0; fi
        kill -0 "${pids[-1]}" 2>/dev/null || break
        sleep 0.1
    done
    echo "run: $1 did not come up; its log:" >&2
    tail -20 "$work/$1.log" >&2
    exit 1
}

start_service core "$core" core
start_service gateway-1 "$gateway1" gateway
start_service gateway-2 "$gateway2" gateway
await core "http://127.0.0.1:$core/healthcheck"
await gateway-1 "http://127.0.0.1:$gateway1/healthcheck"
await gateway-2 "http://127.0.0.1:$gateway2/healthcheck"

routes=$work/routes.json
sed -e "s/127\.0\.0\.1:8080/127.0.0.1:$public/" -e "s/127\.0\.0\.1:9901/127.0.0.1:$admin/" \
    -e "s/127\.0\.0\.1:3300/127.0.0.1:$core/" -e "s/127\.0\.0\.1:3301/127.0.0.1:$gateway1/" \
    -e "s/127\.0\.0\.1:3302/127.0.0.1:$gateway2/" routes.json >"$routes"
: >"$work/balancer.log"
setsid "$bin/balancer" serve --config "$routes" >"$work/balancer.log" 2>"$work/balancer.err" &
pids+=($!)
for ((try = 0; try < 300; try++)); do
    grep -q '^ready$' "$work/balancer.log" && break
    kill -0 "${pids[-1]}" 2>/dev/null || { cat "$work/balancer.err" >&2; exit 1; }
    sleep 0.1
done

cat <<TEXT

  public endpoint   http://127.0.0.1:$public/candidates
  admin API         http://127.0.0.1:$admin/api/v1/status
  metrics           http://127.0.0.1:$admin/metrics
  core stand-in     http://127.0.0.1:$core/healthcheck
  gateway 1         http://127.0.0.1:$gateway1/candidates
  gateway 2         http://127.0.0.1:$gateway2/candidates
  routes            $routes   (edit it: it is reloaded)
  access log        $work/balancer.log

  Try, in another terminal:
    $bin/balancer routes --admin 127.0.0.1:$admin
    $bin/balancer weight api core=50 gateway=50 --reason "half way" --admin 127.0.0.1:$admin
    for i in {1..20}; do curl -s -o /dev/null -D - http://127.0.0.1:$public/candidates | grep -i x-served-by; done

  Ctrl-C stops everything.
TEXT
wait "${pids[-1]}"
