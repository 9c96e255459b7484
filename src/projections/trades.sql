-- name: tables
-- One row a report (FIX ExecID, unique within its order): a fill, a correction, or a bust, which has quantity 0.
-- A report counts unless another one refers to it, from when on its position is that of the other, if that is the later
-- one; `reported` is false for one that was only referred to so far.
create table fills (
    order_id uuid not null,
    exec_id text not null,
    position bigint not null,
    account text not null,
    client_order_id text,
    symbol text not null,
    side text not null,
    quantity bigint not null,
    price numeric not null,
    at timestamptz not null,
    corrects text,
    counts boolean not null,
    reported boolean not null,
    primary key (order_id, exec_id)
);
create unique index fills_newest on fills (account, position) where counts;
create index fills_by_symbol on fills (account, symbol, position) where counts;
create index fills_by_order on fills (order_id, position) where counts;
-- What was traded of each order: the sums over its fills that count. A notional is quantity times price, exact.
create table order_trades (
    order_id uuid primary key,
    position bigint not null,
    account text not null,
    symbol text not null,
    quantity bigint not null,
    notional numeric not null
) with (fillfactor = 80);

-- name: report
-- Only the first report with an id says anything. One that was referred to before it came is kept, and does not count.
with kept as (
    insert into fills (
        order_id, exec_id, position, account, client_order_id, symbol, side, quantity, price, at, corrects, counts,
        reported
    )
    select new.*, true
    from unnest(
        %b::uuid[], %b::text[], %b::bigint[], %b::text[], %b::text[], %b::text[], %b::text[], %b::bigint[],
        %b::numeric[], %b::timestamptz[], %b::text[], %b::boolean[]
    ) as new
    on conflict (order_id, exec_id) do update set
        position = excluded.position,
        quantity = excluded.quantity,
        price = excluded.price,
        at = excluded.at,
        corrects = excluded.corrects,
        reported = true
    where not fills.reported
    returning *
)
insert into order_trades (order_id, position, account, symbol, quantity, notional)
select
    order_id, max(position), account, symbol, coalesce(sum(quantity) filter (where counts), 0),
    trim_scale(coalesce(sum(quantity * price) filter (where counts), 0))
from kept group by order_id, account, symbol
on conflict (order_id) do update set
    position = greatest(order_trades.position, excluded.position),
    quantity = order_trades.quantity + excluded.quantity,
    notional = trim_scale(order_trades.notional + excluded.notional)

-- name: refer
-- What a report refers to counts no more, if the report is the first with its id: then its row has its position still,
-- since references come in the order of the log.
-- Its report was taken before, so its order has its sums.
with gone as (
    insert into fills (
        order_id, exec_id, position, account, client_order_id, symbol, side, quantity, price, at, corrects, counts, reported
    )
    select distinct on (new.order_id, new.ref_exec_id)
        new.order_id, new.ref_exec_id, new.position, new.account, new.client_order_id, new.symbol, new.side, 0, 0, new.at,
        null, false, false
    from unnest(
        %b::uuid[], %b::text[], %b::bigint[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::timestamptz[]
    ) as new (order_id, exec_id, position, ref_exec_id, account, client_order_id, symbol, side, at)
    join fills report
        on report.order_id = new.order_id and report.exec_id = new.exec_id and report.position = new.position
        and report.reported
    order by new.order_id, new.ref_exec_id, new.position
    on conflict (order_id, exec_id) do update set
        position = greatest(fills.position, excluded.position), counts = false
    where fills.counts
    returning order_id, quantity, price
)
update order_trades set
    quantity = order_trades.quantity - taken.quantity,
    notional = trim_scale(order_trades.notional - taken.notional)
from (
    select order_id, sum(quantity) as quantity, sum(quantity * price) as notional from gone group by order_id
) as taken
where order_trades.order_id = taken.order_id
