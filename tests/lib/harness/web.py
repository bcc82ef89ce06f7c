"""An HTTP service of a test's own, which does what it is told, and remembers each request."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Seen:
    method: str
    path: str
    key: str
    body: object
    headers: dict[str, str] = field(default_factory=dict)


class WebService:
    """`answer(seen)` gives (status, body) or (status, body, headers); None: the connection is closed without an answer;
    bytes: these and nothing else. The default is 200 with the request's own path."""

    def __init__(self, answer=None):
        self.seen = []
        self.lock = threading.Lock()
        self.answer = answer or (lambda seen: (200, {"path": seen.path}))
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                seen = Seen(self.command, self.path, self.headers.get("Idempotency-Key", ""),
                            json.loads(body) if body else None, dict(self.headers))
                with service.lock:
                    service.seen.append(seen)
                self.reply(service.answer(seen))

            def reply(self, answer):
                if answer is None or isinstance(answer, bytes):
                    self.wfile.write(answer or b"")
                    self.close_connection = True
                    return
                status, body, *headers = answer
                text = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in (headers[0] if headers else {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_):
                pass  # the client is gone: a daemon that was killed

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def clear(self):
        with self.lock:
            self.seen.clear()

    def keys(self, kind=None):
        """STEP/do and STEP/undo, in the order in which they came."""
        with self.lock:
            keys = ["/".join(seen.key.split("/")[1:]) for seen in self.seen]
        return [key for key in keys if kind is None or key.endswith(f"/{kind}")]
