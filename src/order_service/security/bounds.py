"""Every bound of who may use the service, and how often, each with its reason."""

MAX_CREDENTIAL = 8192  # characters of a token; one with a dozen claims has a thousand
MAX_ACCOUNT = 128  # characters of an account's name: as many as a client_order_id may have
MAX_KEY_DAYS = 3_653  # ten years until a key ends: past the year 9999 a time could be written, and not read again
MAX_KEY_NAME = 100  # characters of what a person calls a key
KEY_FRESH_S = 1.0  # what is known of a key is asked again after this: a revocation is felt so soon
KEY_REFRESH_S = 0.5  # a key in use is asked for before that, so that no request waits for the answer
KEY_WAIT_S = 1.0  # a scrape waits for a database that hangs no longer: Prometheus has 4 s, the figures take 1
KEY_KEPT_S = 14_400.0  # an outage in which figures are shown on what was known: longer than it takes to mend one
MAX_KNOWN_KEYS = 4096  # keys of which an API process remembers whether they hold, some 500 bytes each
MAX_ASKED_KEYS = 512  # keys in one question to the database
MAX_KEYS_WAITING = 4096  # keys that requests wait for: a flood of invented ones is turned away past it
KEY_USED_EVERY_S = 60.0  # how often it is written down that a key was used
MAX_KNOWN_TOKENS = 4096  # tokens whose signature was checked, until they expire
CLOCK_LEEWAY_S = 30.0  # how far ahead the clock of who issues tokens may be; with NTP it is well below a second
MAX_KNOWN_HOSTS = 256  # Host headers whose verdict is kept
CREDENTIAL_LOOK_S = 1.0  # how often it is looked whether the credentials of open streams still hold
GOODBYE_S = 2.0  # a client that is sent away and does not read is cut after this
MAX_KEYS_LISTED = 10_000  # of `orders keys list`: more than a person reads
RATE_BURST_S = 1.0  # an account that was quiet may ask for so many seconds' worth at once
MAX_RATED_CLIENTS = 20_000  # accounts and addresses whose rate is kept, some 300 bytes each
