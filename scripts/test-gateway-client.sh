#!/usr/bin/env bash
# A typed client made of the gateway's description: it must pass its type checker, and read the sample data.
#   scripts/test-gateway-client.sh [GATEWAY]
set -euo pipefail
cd "$(dirname "$0")/.."
gateway=$PWD/${1:-.build/release/gateway}
tools=$PWD/.tools/gateway-client
# shellcheck source=scripts/sample-gateway.sh
source scripts/sample-gateway.sh
need_tools "$tools" openapi-python-client==0.29.1 mypy==2.4.1
start_gateway "$gateway"

cd "$folder"
printf 'post_hooks: []\n' >config.yaml
"$tools/bin/openapi-python-client" generate --url "http://127.0.0.1:$port/openapi.json" --config config.yaml \
    --output-path client --meta none --fail-on-warning >generated 2>&1 || { cat generated >&2; exit 1; }
mv client gateway_client
"$tools/bin/mypy" --no-error-summary gateway_client
cat >read.py <<'PYTHON'
import sys

from gateway_client import Client
from gateway_client.api.candidates import candidate, candidates
from gateway_client.api.operations import block_index
from gateway_client.api.rewards import all_validator_rewards
from gateway_client.api.validators import beefy, current_validators
from gateway_client.models import Candidate

client = Client(base_url=f"http://127.0.0.1:{sys.argv[1]}")
everybody = candidates.sync(client=client)
assert len(everybody) > 1000 and all(isinstance(one, Candidate) for one in everybody)
first = everybody[0]
assert isinstance(first.slot_id, int) and isinstance(first.stash, str) and isinstance(first.bonded, float)
assert first.total == first.score.total and first.validity[0].type_ == "ONLINE"
again = candidate.sync(first.stash, client=client)
assert again.to_dict() == first.to_dict()
assert candidate.sync("nobody", client=client) is None
assert candidate.sync_detailed("nobody", client=client).status_code == 204
assert beefy.sync(client=client).active_validator_count == len(current_validators.sync(client=client).validators)
assert all(isinstance(one.total, float) for one in all_validator_rewards.sync(client=client))
assert isinstance(block_index.sync(client=client).blocks_indexed, int)
PYTHON
"$tools/bin/python" read.py "$port"
echo "test-gateway-client: good"
