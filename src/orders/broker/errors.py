"""What can go wrong with the broker. `str()` is one line for a person; it never holds the URL's password.

BrokerError
├── BrokerAway        it cannot be reached, or the connection was lost; what was not confirmed may have arrived
│   └── BrokerSlow    it has not confirmed what was published within the time allowed: it hangs, or it was too much
├── BrokerRefuses     it answers, and refuses: user, password, virtual host, a right, or what a name was declared as
├── BrokerBlocked     it takes no messages from anybody at the moment: it is low on memory or disk
└── NotConfirmed      it has not taken a message: its queue is full
    └── Unroutable    there is no queue for it
UndecodableWork       the body of a message is no work message of a version that this release knows
"""

from __future__ import annotations


class BrokerError(Exception):
    pass


class BrokerAway(BrokerError):
    pass


class BrokerSlow(BrokerAway):
    pass


class BrokerRefuses(BrokerError):
    pass


class BrokerBlocked(BrokerError):
    pass


class NotConfirmed(BrokerError):
    pass


class Unroutable(NotConfirmed):
    pass


class UndecodableWork(ValueError):
    pass
