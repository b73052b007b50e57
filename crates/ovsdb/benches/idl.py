"""The same work as ovsdb.rs, by the Python IDL: write ports in batches, then load them again.

Usage: idl.py REMOTE SCHEMA SWITCHES PORTS BATCH
Prints the seconds that writing and loading took.
"""

import sys
import time

import ovs.db.idl
import ovs.jsonrpc
import ovs.poller

TABLES = ("Logical_Switch", "Logical_Switch_Port")


def connect(remote, schema):
    helper = ovs.db.idl.SchemaHelper(location=schema)
    for table in TABLES:
        helper.register_table(table)
    idl = ovs.db.idl.Idl(remote, helper)
    while not idl.has_ever_connected():
        idl.run()
        poller = ovs.poller.Poller()
        idl.wait(poller)
        if not idl.has_ever_connected():
            poller.block()
    return idl


def commit(txn):
    status = txn.commit_block()
    assert status == ovs.db.idl.Transaction.SUCCESS, status


def write(idl, switches, ports, batch):
    txn = ovs.db.idl.Transaction(idl)
    for number in range(switches):
        txn.insert(idl.tables["Logical_Switch"]).name = "switch-%d" % number
    commit(txn)
    rows = sorted(idl.tables["Logical_Switch"].rows.values(), key=lambda row: row.name)
    start = time.monotonic()
    for first in range(0, ports, batch):
        txn = ovs.db.idl.Transaction(idl)
        for number in range(first, first + batch):
            port = txn.insert(idl.tables["Logical_Switch_Port"])
            port.name = "port-%d.namespace" % number
            address = "0a:00:00:00:%02x:%02x 10.16.%d.%d" % (
                number >> 8, number & 255, number >> 8, number & 255)
            port.addresses = [address]
            port.port_security = [address]
            port.external_ids = {"pod": "namespace/port-%d" % number, "vendor": "kube-ovn"}
            rows[number % switches].addvalue("ports", port)
        commit(txn)
    return time.monotonic() - start


def main():
    remote, schema = sys.argv[1:3]
    switches, ports, batch = map(int, sys.argv[3:6])
    idl = connect(remote, schema)
    write_s = write(idl, switches, ports, batch)
    assert len(idl.tables["Logical_Switch_Port"].rows) == ports
    idl.close()
    start = time.monotonic()
    idl = connect(remote, schema)
    assert len(idl.tables["Logical_Switch_Port"].rows) == ports
    print(write_s, time.monotonic() - start)


main()
