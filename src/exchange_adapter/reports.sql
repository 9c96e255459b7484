-- name: read_position
select source, seq from public.adapter_report_positions where venue = %(venue)s

-- name: write_position
-- Written after the reports' own events are durable. Forward only within a source, so that a reader which lost its lock
-- without noticing never takes it back.
insert into public.adapter_report_positions as known (venue, source, seq) values (%(venue)s, %(source)s, %(seq)s)
on conflict (venue) do update set source = excluded.source, seq = excluded.seq, updated_at = now()
where known.source is distinct from excluded.source or known.seq < excluded.seq
