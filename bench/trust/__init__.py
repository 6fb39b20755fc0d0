"""Whose seals and signatures count here: keys, persons, the register of sealed runs, the audit trail.

Everything is in the state folder:

    HOME/trust/bench.pem, unmeasured.pem    the bench's own keys
    HOME/trust/keys.json, users.json        public keys, and persons with their wrapped keys
    HOME/trust/register.jsonl, audit.jsonl  chained logs, each with a head
"""
