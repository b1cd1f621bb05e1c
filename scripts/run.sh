#!/usr/bin/env bash
# Starts the main job: a core stand-in, two gateways and the balancer in front of them, on embedded sample data.
# Ctrl-C stops everything. Ports can be moved: CORE_PORT, GATEWAY1_PORT, GATEWAY2_PORT, PUBLIC_PORT, TLS_PORT, ADMIN_PORT. BIN names the folder
# of the programs. The pid of what listens on a port is in .build/run/PORT.pid.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${BIN:-.build/release}
core=${CORE_PORT:-3300}
gateway1=${GATEWAY1_PORT:-3301}
gateway2=${GATEWAY2_PORT:-3302}
public=${PUBLIC_PORT:-8080}
tls=${TLS_PORT:-8443}
admin=${ADMIN_PORT:-9901}

fail() {
    printf 'run: %s\n' "$1" >&2
    exit 1
}

for program in balancer gateway; do
    [[ -x $bin/$program ]] || fail "$bin/$program is not there: \`make build\` makes it, or BIN names another folder"
done
for program in curl openssl; do
    command -v "$program" >/dev/null || fail "$program is missing: \`scripts/setup.sh\` installs it"
done

# Who listens on a port, as far as this user may see it.
holder() { # port
    local found
    found=$(ss -Hltnp "sport = :$1" 2>/dev/null | sed -n 's/.*users:((\(.*\)))$/\1/p' | head -1)
    found=$(sed -n 's/^"\([^"]*\)",pid=\([0-9]*\).*/\1, process \2/p' <<<"$found")
    printf '%s' "${found:-a program that this user cannot see}"
}
declare -A taken
problems=()
for variable in CORE_PORT GATEWAY1_PORT GATEWAY2_PORT PUBLIC_PORT TLS_PORT ADMIN_PORT; do
    case $variable in
        CORE_PORT) port=$core ;; GATEWAY1_PORT) port=$gateway1 ;; GATEWAY2_PORT) port=$gateway2 ;;
        PUBLIC_PORT) port=$public ;; TLS_PORT) port=$tls ;; ADMIN_PORT) port=$admin ;;
    esac
    if [[ ! $port =~ ^[0-9]{1,5}$ ]] || ((10#$port < 1 || 10#$port > 65535)); then
        problems+=("$variable is $port, which is no port")
    elif [[ -n ${taken[$port]:-} ]]; then
        problems+=("$variable and ${taken[$port]} are both $port")
    elif (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        problems+=("port $port is in use by $(holder "$port"); $variable=ANOTHER moves it")
    fi
    taken[$port]=$variable
done
if ((${#problems[@]} > 0)); then
    printf 'run: %s\n' "${problems[@]}" >&2
    exit 1
fi

work=$(mktemp -d)
pids=()
mkdir -p .build/run
# Whether it is still the program that was started here: who killed one may have started another in its place.
is_ours() { # pid
    [[ $(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null) == "$$" ]]
}
stop() {
    trap - INT TERM EXIT
    echo
    echo "run: stopping"
    # The balancer first: it drains while what it forwards to still answers.
    for ((index = ${#pids[@]} - 1; index >= 0; index--)); do
        if is_ours "${pids[index]}"; then kill -TERM "${pids[index]}" 2>/dev/null || true; fi
        wait "${pids[index]}" 2>/dev/null || true
    done
    rm -rf "$work"
    rm -f ".build/run/$core.pid" ".build/run/$gateway1.pid" ".build/run/$gateway2.pid" ".build/run/$public.pid"
    echo "run: stopped"
}
trap stop EXIT
trap 'exit 0' INT TERM

start_service() { # name port role
    # Its own process group: Ctrl-C reaches this script alone, which then stops things in order.
    setsid "$bin/gateway" serve --port "$2" --role "$3" --identify "$1" >"$work/$1.log" 2>&1 &
    pids+=($!)
    echo $! >".build/run/$2.pid"
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

# For this run alone: a browser or curl believes it only where it is told to.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7 -keyout "$work/tls.key" -out "$work/tls.crt" \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>"$work/openssl.log" || fail "$(cat "$work/openssl.log")"

routes=$work/routes.json
secure="{ \"name\": \"secure\", \"address\": \"127.0.0.1:$tls\", \"tls\": { \"certificates\": [{ \"certificate\": \"$work/tls.crt\", \"key\": \"$work/tls.key\" }] } }"
sed -e "s|^\(  \"listeners\": \[{[^]]*}\)\]|\1, $secure]|" -e "s/127\.0\.0\.1:8080/127.0.0.1:$public/" -e "s/127\.0\.0\.1:9901/127.0.0.1:$admin/" \
    -e "s/127\.0\.0\.1:3300/127.0.0.1:$core/" -e "s/127\.0\.0\.1:3301/127.0.0.1:$gateway1/" \
    -e "s/127\.0\.0\.1:3302/127.0.0.1:$gateway2/" routes.json >"$routes"
: >"$work/balancer.log"
setsid "$bin/balancer" serve --config "$routes" >"$work/balancer.log" 2>"$work/balancer.err" &
pids+=($!)
echo $! >".build/run/$public.pid"
for ((try = 0; try < 300; try++)); do
    grep -q '^ready$' "$work/balancer.log" && break
    kill -0 "${pids[-1]}" 2>/dev/null || { cat "$work/balancer.err" >&2; exit 1; }
    sleep 0.1
done

cat <<TEXT

  public endpoint   http://127.0.0.1:$public/candidates
  the same by TLS   https://localhost:$tls/candidates
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
    curl --cacert $work/tls.crt https://localhost:$tls/candidates

  Kill a gateway, and start it again:
    kill -9 "\$(cat .build/run/$gateway1.pid)"
    $bin/gateway serve --port $gateway1 --identify gateway-1

  Ctrl-C stops everything that was started here.
TEXT
wait "${pids[-1]}"
