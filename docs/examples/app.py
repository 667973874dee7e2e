"""A component in Python, for componentize-py: docs/components.md says how it is built."""

import json

from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports.types import Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        answer = json.dumps({"hello": "from Python", "path": request.path_with_query()}).encode()
        response = OutgoingResponse(Fields.from_list([("content-type", b"application/json")]))
        response.set_status_code(200)
        body = response.body()
        ResponseOutparam.set(response_out, Ok(response))
        stream = body.write()
        stream.blocking_write_and_flush(answer)
        # The stream must be gone before its body ends.
        stream.__exit__(None, None, None)
        OutgoingBody.finish(body, None)
