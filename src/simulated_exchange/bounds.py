"""Every bound of the simulated exchange, with its reason."""

# Wire
MAX_FRAME_BYTES = 65_536  # a request line; a submit has some 300 bytes
MAX_ID_CHARACTERS = 64  # identifiers of clients; a UUID has 36
MAX_IN_FLIGHT = 1_024  # unanswered requests a connection; several commits' worth, so that batching still works
MAX_CONNECTIONS = 256  # an adapter uses a few; past it a connection is closed at once
MAX_EXECUTIONS_AN_ANSWER = 500  # about 60 kB of a query's answer
WRITE_BUFFER_BYTES = 262_144  # waiting in a connection before its requests, or its reports, wait too

# Orders
MAX_QUANTITY = 1_000_000_000  # the order service accepts no more
MAX_OPEN_ORDERS = 1_000_000  # about 1 GB of memory
PRICE_DECIMALS = 8  # prices are kept as integers of 10**-8
MAX_PRICE_DIGITS = 18  # before the point; the order service accepts no more, both sides together
MAX_SYMBOL_CHARACTERS = 32  # an instrument code has 12

# Reports
RECENT_REPORTS = 32_768  # kept in memory, about 10 MB; older ones are read from the journal
REPORTS_A_WRITE = 512  # about 150 kB
INDEX_EVERY_REPORTS = 256  # distance of the index' entries: a reader skips at most so many
JOURNAL_READ_BYTES = 262_144  # read at once while catching up: about 2 ms away from other clients
HEARTBEAT_S = 1.0  # a reader that hears nothing for some of these has a dead link

# Process
LOCK_WAIT_S = 2.0  # a predecessor that was just killed may still hold the folder
CONNECT_PROBE_S = 0.5  # is someone behind this socket file? a live exchange accepts at once
STOP_WAIT_S = 0.5  # last answers go out before connections are cut; stopping takes less than 1 s
MAX_UNIX_PATH_BYTES = 107  # sun_path of Linux less its final zero

# Faults
MAX_LATENCY_S = 60.0  # how late a request may arrive: a client's late-arrival bound can rest on it
MAX_DELAYED = 100_000  # requests that wait because of --latency or --capacity; past it they are refused
MAX_CAPACITY = 1_000_000  # requests a second; it cannot work off a tenth of them
MAX_FILL_DELAY_S = 86_400.0  # a day
MIN_CRASH_EVERY_S = 0.1  # more often it would hardly be up
MAX_CRASH_EVERY_S = 86_400.0  # a day
MAX_OUTAGE_S = 86_400.0  # a day; an outage without an end is a stopped exchange

# Control
MAX_CONTROL_BYTES = 4_096  # a line of a person's request; they have some 200
MAX_CONTROL_CONNECTIONS = 16  # people, and their scripts
CONTROL_TIMEOUT_S = 10.0  # for an answer: an fsync takes milliseconds, reading a long journal anew holds nothing up
