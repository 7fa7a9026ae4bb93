"""supertokens-python, and what it asks a core for: its versions, and the public keys."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def serve_core(keys: dict[str, Any]) -> str:
    """Serves them for as long as this process lives; gives the address."""
    answers = {"/apiversion": {"versions": ["5.4"]}, "/.well-known/jwks.json": keys}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers[self.path.split("?")[0]]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def set_up_supertokens(core: str) -> None:
    """Has supertokens-python verify sessions by the keys of that core."""
    from supertokens_python import InputAppInfo, SupertokensConfig, init
    from supertokens_python.recipe import session

    init(
        app_info=InputAppInfo(
            app_name="bench",
            api_domain="http://localhost:8000",
            website_domain="http://localhost:8000",
        ),
        framework="fastapi",
        supertokens_config=SupertokensConfig(connection_uri=core),
        recipe_list=[session.init(anti_csrf="NONE")],
        mode="asgi",
        telemetry=False,
    )
