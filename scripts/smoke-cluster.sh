#!/usr/bin/env bash
# A release in a cluster of its own: installed, tried by `helm test`, moved one stage up and down. The cluster is kind's, made for this
# and removed after it. Needs docker, kind, kubectl and helm, and the images web3f/otv-{balancer,gateway,core} with the tag here.
#   scripts/smoke-cluster.sh TAG
set -euo pipefail
cd "$(dirname "$0")/.."
if (($# != 1)); then
    sed -n '2,4s/^# *//p' "$0" >&2
    exit 64
fi
tag=$1
for program in docker kind kubectl helm; do
    if ! command -v "$program" >/dev/null; then
        echo "smoke-cluster: $program is not here" >&2
        exit 1
    fi
done
cluster=otv-smoke-$$
folder=$(mktemp -d)
export KUBECONFIG=$folder/kubeconfig
finish() {
    status=$?
    if ((status != 0)); then
        kubectl --namespace otv get pods,events --output wide >&2 || true
        kubectl --namespace otv logs --selector app.kubernetes.io/instance=otv --all-containers --prefix --tail 50 >&2 || true
    fi
    kind delete cluster --name "$cluster" || true
    rm -rf "$folder"
    exit "$status"
}
trap finish EXIT
kind create cluster --name "$cluster" --wait 3m
for package in balancer gateway core; do
    kind load docker-image --name "$cluster" "web3f/otv-$package:$tag"
done
helm dependency build charts/otv

stage() { # NAME OF THE STAGE
    helm upgrade --install otv charts/otv --namespace otv --create-namespace --wait --timeout 5m \
        --values Tests/Cluster/values.yaml --values "examples/stages/$1/values.yaml" \
        --set "global.imageTag=$tag" --set "otv-core.image.tag=$tag"
}
# The weights of the route api in each balancer, a line for all that have the same.
weights() {
    local pod pods
    pods=$(kubectl --namespace otv get pods --selector app.kubernetes.io/name=otv-balancer --output name)
    for pod in $pods; do
        kubectl --namespace otv exec "$pod" -- balancer routes --json | python3 -c '
import json, sys
print(next(json.dumps(r["weights"], sort_keys=True) for r in json.load(sys.stdin)["routes"] if r["name"] == "api"))'
    done | sort --unique
}
# The pods that run take a changed file over when the kubelet has updated their volume.
await() { # WEIGHTS OF THE ROUTE api
    local second found
    for ((second = 0; second < 180; second++)); do
        # A pod that is about to go has no answer.
        found=$(weights 2>/dev/null) || found=
        if [[ $found == "$1" ]]; then
            echo "smoke-cluster: api has $1 after $second s"
            return
        fi
        sleep 1
    done
    echo "smoke-cluster: api has not got $1: $(weights)" >&2
    return 1
}
stage 1-core-only
await '{"core": 100, "gateway": 0}'
helm test otv --namespace otv --timeout 3m
stage 2-by-weight
await '{"core": 90, "gateway": 10}'
helm test otv --namespace otv --timeout 3m
stage 1-core-only
await '{"core": 100, "gateway": 0}'
helm rollback otv --namespace otv --wait --timeout 5m
await '{"core": 90, "gateway": 10}'
helm test otv --namespace otv --timeout 3m
echo "smoke-cluster: everything went up, one stage further, and back"
