"""Every bound of the exchange adapter, each with its reason."""

# Calls to the venue
CALL_THREADS = 500  # calls in flight: 300 orders/s through a call of 0.5 s take 150, three times that is slack
LOST_SHARE = 4  # one thread in so many lost in hung calls: the process drains and starts afresh
LEAST_LOST = 2  # in a small pool: one call that hangs is chance, and the others go on
BURST_S = 0.1  # calls at once, in seconds of the allowed rate: what a busy loop is late by, and no more
START_BOUND_S = 2.0  # from before the claim's append to the call: past it the claim is given up as never sent
IDLE_THREAD_S = 30.0  # a thread that had nothing to do for so long ends
FIRST_RETRY_S = 0.35  # before the second attempt, times a factor of RETRY_SPREAD
RETRY_CAP_S = 30.0  # longest distance of two attempts: half a minute after an outage all are tried again
RETRY_SPREAD = (0.6, 1.4)  # so that what failed together is not tried again together
MAX_DOUBLINGS = 16  # past it the cap has long been reached; keeps the power small
FAILED_ALONE = (
    3  # failures while others pass before an order is parked: after an outage, one error in ten proves little
)

CALL_SECONDS = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    0.75,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)  # buckets of what a call took

# Work
WINDOW_DUTIES = 10_000  # open duties held in memory, about 10 MB; the others wait in the table
UNSENT_RESERVE = 2_500  # of them for orders not sent yet alone: what can only be asked again keeps no new order out
REFILL_BELOW = 2_500  # duties left in the window when it is filled again from the table
REFILL_POLL_S = 0.25  # how late another adapter's follower may tell of a duty
SWEEP_S = 5.0  # a full window, too, looks at the table again so often: nothing is forgotten
SHORTEST_WAIT_S = 0.001  # for the next order that falls due: a shorter wait would be no wait at all
QUEUE_PREFETCH = 4  # messages of a shard in hand, each of 500 hints at the most: with all shards 128,000 hints, 8 MB
MESSAGES_STILL_S = 30.0  # messages in hand that tell of nothing new for so long stand in the way: the table takes over
INTAKE_HINTS = 64  # orders of messages being loaded at once: one read each, shared out over READ_THREADS
INTAKE_ROOM_POLL_S = 0.05  # how late the full window's next room is noticed
CONSUMERS_LOOK_S = 0.5  # how late it is noticed that the broker has ended a consumer: the client does not tell
CONSUMER_CANCEL_S = 2.0  # for the broker to end one; past it the connection is closed, which ends them all
QUEUES_END_S = 1.5  # at a stop: consumers ended, answers sent, connection closed; nobody waits longer for a broker
OWNERSHIP_POLL_S = 1.0  # how soon a dead adapter's shards are taken over, once its connection is gone
SHARING_POLL_S = 0.2  # while shards change hands: a shard at rest is given up, and one that is free taken, as soon
FROZEN_AFTER_BEATS = 10  # of ours, some 10 s, without one of theirs: a loaded machine misses a few, a frozen one all
FORGET_WORKER_S = 10.0  # a worker whose connection is gone is listed so long: one that is cut off comes back by then
LOOP_ANSWER_S = 1.0  # an event loop that takes longer to say how it does is late for every call as well
HELD_ALERT_S = 60.0  # the exchange's report or answer may settle it by then; two questions at RETRY_CAP_S

# Retries of our own database
DATABASE_RETRY_S = (0.1, 3.0)  # first and longest wait; it is local or near, and an outage is felt by clients

# Circuit breaker
BREAKER_OPENS_AFTER = 20  # failures in a row: at one error in ten, once in 10**20 calls
WINDOW_GROWTH = 2  # calls more in flight for each answer: 500 after 1.5 s where one takes 0.5 s
MOST_UNUSED = 3  # times what was in flight at the most may be: what such a growth makes of one full window
SILENT_SHARE = 0.5  # of a call's timeout without any answer: the venue seems to hang
BREAKER_PROBE_S = (0.5, 5.0)  # first and longest time until one call probes the venue again
PROBE_CHOICE = 100  # oldest orders of which the least tried one probes: one that always fails must not be the probe

# Reports
REPORT_BATCH = 1_000  # reports taken together: their fills become one or two commits
REPORT_UNITS_IN_FLIGHT = 512  # orders of a batch being recorded at once: one commit's worth; reading waits meanwhile
COMMIT_REPORTS = 500  # of many orders in one commit: some 300 kB, a quarter of what a commit may have at the most
MAX_UNIT_REPORTS = 250  # of one order in one unit: some 150 kB of events
REPORT_WAIT_S = 0.5  # for the first report of a batch; how late a stop or a lost lock is noticed
REPORT_SILENCE_S = 5.0  # the exchange says something each second: past it the link is dead
MAX_EARLY_REPORTS = 2_048  # held while an earlier one is missing; past it the stream is opened anew
REPORT_RETRY_S = (0.2, 5.0)  # waits before the stream is opened again
MAX_UNMATCHED_NOTED = 10_000  # a venue's reports that wait for their order; with other customers' it may send millions
REMATCH_EVERY_S = 2.0  # how late a report follows its order's appearance; the look costs a millisecond
REMATCH_BATCH = 500  # reports matched again between two looks
UNMATCHED_UNIT_BYTES = 262_144  # of unmatched reports in one unit: half of what one may have; a larger report is cut
MAX_KEPT_TEXT = 16_384  # what stays of a report that is cut: a person sees what it was
MAX_KEPT_BRACKETS = 500  # of a report kept as JSON: its readers nest as deep as Python's 1,000 frames let them
UNMATCHED_LOOKBACK = 2_000  # events of the venue's stream in which a repeat of an unmatched report is looked for

# The simulated exchange's client
CONNECT_TIMEOUT_S = 2.0  # it is on this machine or near
RECONNECT_S = (0.05, 2.0)  # waits between attempts to connect; calls meanwhile are surely not sent
MAX_LINE_BYTES = 262_144  # an answer or a report line, by its protocol
RECEIVE_BYTES = 262_144  # read at once
ANSWER_MARGIN_S = 0.1  # a call gives up so much before the dispatcher would

# Alerts
ALERT_POLL_S = 1.0  # how late an alert is told; the table's look costs a millisecond
ALERT_PAUSE_S = 60.0  # a kind is told of at most so often: a phone that rings all the time is turned off
ALERT_QUIET_S = 900.0  # a contradiction of the exchange's that was not seen again for so long is over
ALERT_EXAMPLES = 5  # named in a notice; the list has all
MAX_ALERTS_COUNTED = 10_000  # of a kind at each look: more are told as "10,000 or more", at a few milliseconds
MAX_ALERTS_JUDGED = 10_000  # opened when the follower starts with other settings: within a second or so
MAX_ALERT_DETAIL = 300  # characters: reasons are the exchange's own words
MAX_NOTED_ALERTS = 1_000  # what a process keeps of the contradictions it saw itself; the oldest leave
REPORTS_STALLED_S = 30.0  # six times REPORT_SILENCE_S: a few broken streams in a row are no alert
WEBHOOK_TIMEOUT_S = 5.0  # for the whole of a request; each kind of alert waits for its own only
WEBHOOK_RETRY_S = (1.0, 60.0)  # first and longest wait; tried for ever, with the newest state

# The process
STOP_WAIT_S = 5.0  # running calls may end so long after a stop, or less; what still runs is left in doubt
CLOSE_WAIT_S = 0.4  # for the turns to end after that, for the parts, for those cut off, and for writer and threads
END_S = 2.0  # of a stop's time are not for calls: four times CLOSE_WAIT_S, and the process' own end
THREADS_POLL_S = 0.5  # how late the end of a thread that should never end is noticed
READ_THREADS = 4  # reads of single orders; each takes a millisecond
MAX_QUEUED_READS = 10_000  # of them at once: turns, reports and messages are bounded already, to 5,600 at the most

# Operators
MAX_HELD_PAGE = 1_000  # orders of one list: each is read from the log, at less than a millisecond
DEFAULT_HELD_PAGE = 100
MAX_ACTIONS = 1_000  # orders that one request retries or resolves: two seconds or so
ACTIONS_AT_ONCE = 50  # orders read or acted on for operators together: shares commits, and leaves room for clients
WORKER_SEEN_S = 5.0  # a worker tells of itself each second: past it only its locks say that it lives
MAX_WORKERS_SHOWN = 1_000  # far more than there are shards
MAX_ALERT_EXAMPLES = 20  # alerts shown of each kind; the count tells how many there are
