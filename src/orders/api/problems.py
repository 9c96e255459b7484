"""What the refusals of the write side, and of any request, are over HTTP (RFC 9457): status and title.

Every 503 goes with Retry-After. The exact 500 of POST /orders is not here: `routes.py` answers it.
"""

from __future__ import annotations

from orders import request_errors as request
from orders.api import errors as api
from orders.domain import errors as domain
from orders.eventstore import port as store

PROBLEMS: dict[type[Exception], tuple[int, str]] = {
    domain.InvalidOrder: (422, "Wrong fields"),
    domain.UnknownOrder: (404, "Not found"),
    domain.OrderEnded: (400, "The order has ended"),
    domain.KeyReused: (409, "The key is taken"),
    domain.RequestPending: (409, "Pending at the exchange"),
    domain.VenueCannot: (409, "The exchange cannot do it"),
    domain.NotApplicable: (409, "Not in this state"),
    request.MalformedBody: (400, "Malformed body"),
    request.WrongMediaType: (415, "Unsupported media type"),
    request.WrongFields: (422, "Wrong fields"),
    request.InvalidParameters: (422, "Wrong parameters"),
    api.VenueRefused: (409, "The exchange refused"),
    store.StoreOverloaded: (503, "Overloaded"),
    store.StoreClosed: (503, "Going down"),
    store.StoreUnavailable: (503, "Database unavailable"),
    store.CommitUnknown: (503, "Not known to be done"),
    store.UnknownEvent: (500, "Unreadable event"),
    store.BrokenLog: (500, "Broken log"),
    store.TooLarge: (413, "Too large"),
}

DETAILS: dict[type[Exception], str] = {
    store.StoreOverloaded: "Too many requests wait; try again",
    store.StoreClosed: "This process is stopping; try again",
    store.StoreUnavailable: "The database does not answer; try again",
    store.CommitUnknown: "The database did not answer in time: it may be done or not; look, or ask the same again",
    store.TooLarge: "This is more than one commit may carry",
}
"""What is said of errors whose own words are for the log: they may name hosts and files."""
