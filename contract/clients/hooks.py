"""What schemathesis checks beside its own: made-up requests never meet an error of ours."""

import schemathesis


@schemathesis.check
def nothing_breaks(ctx, response, case):
    if response.status_code == 500:
        raise AssertionError("500: something went wrong inside")
