"""The AWS emulator on a free loopback port, until standard input ends.

Prints `READY PORT`.
"""

import sys
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

server = make_server(
    "127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True
)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("READY", server.server_port, flush=True)
sys.stdin.read()
server.shutdown()
