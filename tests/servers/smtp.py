"""An SMTP server for the tests: requires AUTH, keeps each message as a file in a folder.

    SMTP_USER=… SMTP_PASSWORD=… smtp.py FOLDER

Prints `READY PORT` and serves until its standard input ends.
"""

import asyncio
import hmac
import os
import pathlib
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Folder:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.count = 0

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        # Written under another name first: whoever lists the folder sees whole messages.
        draft = self.path.parent / f"{self.path.name}.draft"
        draft.write_bytes(envelope.content)
        draft.rename(self.path / f"{self.count:06}.eml")
        return "250 accepted"


def authenticator(user, password):
    def check(server, session, envelope, mechanism, data):
        known = isinstance(data, LoginPassword) and hmac.compare_digest(
            data.login + b"\0" + data.password, f"{user}\0{password}".encode()
        )
        return AuthResult(success=known, handled=False)

    return check


async def main():
    folder = Folder(sys.argv[1])
    check = authenticator(os.environ["SMTP_USER"], os.environ["SMTP_PASSWORD"])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        # Without TLS, because it is loopback and the tests are about the password.
        lambda: SMTP(folder, authenticator=check, auth_required=True, auth_require_tls=False),
        "127.0.0.1",
        0,
    )
    print("READY", server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()


asyncio.run(main())
