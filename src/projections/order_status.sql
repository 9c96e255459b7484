-- name: tables
-- placed_position, of the order's first event, is the order in which lists show orders: unique, and never changed.
-- Room in the pages keeps changes of an order in its page; no index holds what every event changes.
create table orders (
    order_id uuid primary key,
    placed_position bigint not null,
    position bigint not null,
    version bigint not null,
    account text not null,
    client_order_id text,
    symbol text not null,
    instrument text,
    side text not null,
    type text not null,
    limit_price numeric,
    quantity bigint not null,
    time_in_force text not null,
    status text not null,
    ord_status text not null,
    filled_quantity bigint not null,
    average_price numeric,
    delivery text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    executed_at timestamptz
) with (fillfactor = 80);
create unique index orders_newest on orders (account, placed_position);
create index orders_by_status on orders (account, status, placed_position);
create index orders_by_symbol on orders (account, symbol, placed_position);
create index orders_by_key on orders (account, client_order_id) where client_order_id is not null;
create index orders_by_time on orders (account, created_at);

-- name: place
insert into orders (
    order_id, placed_position, position, version, account, client_order_id, symbol, instrument, side, type,
    limit_price, quantity, time_in_force, status, ord_status, filled_quantity, average_price, delivery,
    created_at, updated_at, executed_at
)
select * from unnest(
    %b::uuid[], %b::bigint[], %b::bigint[], %b::bigint[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[],
    %b::text[], %b::numeric[], %b::bigint[], %b::text[], %b::text[], %b::text[], %b::bigint[], %b::numeric[],
    %b::text[], %b::timestamptz[], %b::timestamptz[], %b::timestamptz[]
)

-- name: change
-- What an order keeps from its placing is left alone.
update orders set
    position = new.position,
    version = new.version,
    limit_price = new.limit_price,
    quantity = new.quantity,
    status = new.status,
    ord_status = new.ord_status,
    filled_quantity = new.filled_quantity,
    average_price = new.average_price,
    delivery = new.delivery,
    updated_at = new.updated_at,
    executed_at = new.executed_at
from unnest(
    %b::uuid[], %b::bigint[], %b::bigint[], %b::numeric[], %b::bigint[], %b::text[], %b::text[], %b::bigint[],
    %b::numeric[], %b::text[], %b::timestamptz[], %b::timestamptz[]
) as new (
    order_id, position, version, limit_price, quantity, status, ord_status, filled_quantity,
    average_price, delivery, updated_at, executed_at
)
where orders.order_id = new.order_id
returning orders.order_id
