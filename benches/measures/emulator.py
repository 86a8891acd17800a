"""The AWS emulator, which also takes accounts from its standard input, one JSON object a line: a hundred times faster
than by requests, each of which costs it some 20 ms. A line without an e-mail address is answered with the number so far."""

import json
import os
import sys
import threading

from moto.organizations.models import FakeAccount, organizations_backends
from moto.server import main

MANAGEMENT = "123456789012"


def take_accounts():
    taken = 0
    for line in sys.stdin:
        new = json.loads(line)
        if "Email" not in new:
            print(taken, flush=True)
            continue
        backend = organizations_backends[MANAGEMENT]["aws"]
        account = FakeAccount(backend.org, **new)
        account.id = new["Id"]
        account.parent_id = new["ParentId"]
        backend.accounts.append(account)
        organizations_backends.master_accounts[account.id] = (backend.account_id, backend.partition)
        taken += 1
    # Whoever has started this is gone.
    os._exit(0)


threading.Thread(target=take_accounts, daemon=True).start()
main(sys.argv[1:])
