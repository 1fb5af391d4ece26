"""Fetch orders from an HTTP API, store them in PostgreSQL, mail a report.

    resolve --config examples/pipeline/credchain.toml exec -- python examples/pipeline.py

The script knows nothing of credchain: `resolve exec` puts every declared credential into its
environment, wherever each of them lives.
"""

# ANCHOR: imports
import json
import os
import smtplib
import urllib.request
from email.message import EmailMessage
from urllib.parse import urlsplit

import pg8000.dbapi
# ANCHOR_END: imports


# ANCHOR: fetch
def fetch(url, key):
    request = urllib.request.Request(f"{url}/v1/orders", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


# ANCHOR_END: fetch


def store(url, password, orders):
    at = urlsplit(url)
    database = pg8000.dbapi.connect(
        user=at.username, password=password, host=at.hostname, port=at.port, database=at.path[1:]
    )
    with database:
        cursor = database.cursor()
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS orders"
            " (id bigint PRIMARY KEY, customer text NOT NULL, cents bigint NOT NULL)"
        )
        for order in orders:
            cursor.execute(
                "INSERT INTO orders (id, customer, cents) VALUES (%s, %s, %s)"
                " ON CONFLICT (id) DO UPDATE SET customer = excluded.customer, cents = excluded.cents",
                (order["id"], order["customer"], order["cents"]),
            )
        database.commit()


def report(url, password, orders):
    at = urlsplit(url)
    message = EmailMessage()
    message["From"] = "pipeline@example.com"
    message["To"] = "finance@example.com"
    message["Subject"] = f"{len(orders)} orders"
    message.set_content(f"{len(orders)} orders, {sum(o['cents'] for o in orders) / 100:.2f} in all")
    with smtplib.SMTP(at.hostname, at.port, timeout=30) as mail:
        mail.login(at.username, password)
        mail.send_message(message)


# ANCHOR: main
def main(env=os.environ):
    orders = fetch(env["API_URL"], env["API_KEY"])
    store(env["DB_URL"], env["DB_PASSWORD"], orders)
    report(env["MAIL_URL"], env["MAIL_PASSWORD"], orders)
    print(f"{len(orders)} orders fetched, stored and reported")


if __name__ == "__main__":
    main()
# ANCHOR_END: main
