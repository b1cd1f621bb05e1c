"""What the gateway's contract says beyond its OpenAPI description, as checks for schemathesis."""
import re
from urllib.parse import unquote

import schemathesis

# What JavaScript's Number() accepts, blanks at the ends aside.
NUMBER = re.compile(
    r"(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|[+-]?(Infinity|(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?))?")


def is_number(text):
    return NUMBER.fullmatch(text.strip()) is not None


@schemathesis.check
def server_errors_are_those_of_the_contract(ctx, response, case):
    """500 means that a parameter is no number, an endless limit, or statistics of a session that there are not."""
    if response.status_code < 500:
        return
    assert response.status_code == 500, f"status {response.status_code}"
    assert response.text == "Internal Server Error"
    template = case.operation.path
    names = re.findall(r"{(\w+)}", template)
    sent = re.fullmatch(re.sub(r"{\w+}", "([^/?]*)", template), response.request.path_url.split("?")[0], re.IGNORECASE)
    assert sent, "500 on a path that is no route"
    values = {name: unquote(value) for name, value in zip(names, sent.groups())}
    numbers = {name: value for name, value in values.items() if name in ("era", "session", "limit")}
    excused = template == "/locationstats/{session}" or any(
        not is_number(value) or name == "limit" and "Infinity" in value or name == "limit" and "e" in value.lower()
        for name, value in numbers.items())
    assert excused, f"500 with {values}"


@schemathesis.check
def every_answer_but_an_error_allows_other_origins(ctx, response, case):
    if response.status_code in (400, 413, 431, 500):
        return
    assert "access-control-allow-origin" in response.headers
