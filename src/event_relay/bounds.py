"""Every bound of the event relay, each with its reason."""

WORK_BATCH_EVENTS = 2_000  # events of the log whose hints are published together: at most 64 messages and a few more
EVENT_BATCH = 500  # integration events published together: a message each, some 0.15 s
CONFIRM_LOOK_S = 1.0  # a confirm is waited for so long before the follower lets itself be heard: it may be 2.5 s silent
RETRY_S = (0.1, 2.0)  # first and longest pause before what was not confirmed is published again
STALE_EVENTS = 20_000  # hints further behind the log's end are left out: those orders come from the table of duties
STOP_TIMEOUT_S = 2.0  # a follower looks up from the broker after CONFIRM_LOOK_S, and ends
MAX_ROUTING_WORD = 100  # characters of one word of a routing key: of 255 bytes, three words and two dots have room
