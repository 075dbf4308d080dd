-- Queries by name. Batches come as one JSON array in :rows, read with json_each, so that a batch is
-- few statements: each statement call costs the interpreter's lock once, however many rows it has.

-- section: batches ---------------------------------------------------------------------------------

-- name: stale_leases
-- Positions of [key, epoch, owner] that are not the instance's any more.
SELECT lease.key FROM json_each(:rows) AS lease
WHERE NOT EXISTS (
    SELECT 1 FROM instances
    WHERE key = lease.value ->> 0 AND epoch = lease.value ->> 1 AND owner = lease.value ->> 2
);

-- name: find_refs
-- Rows of [workflow, id], each with its position.
SELECT
    ref.key, instances.key, status, owner IS NOT NULL, paused_ms
FROM json_each(:rows) AS ref
JOIN instances ON instances.workflow = ref.value ->> 0 AND instances.id = ref.value ->> 1;

-- name: insert_facts
INSERT INTO facts (
    key, kind, at_ms, step_kind, name, count, ordinal, attempt, began_ms, due_ms, payload, detail
)
SELECT
    value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
    value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11
FROM json_each(:rows);

-- name: take_events
-- Consume pending events [id, key].
-- (A join, because SQLite matches `(id, key) IN (SELECT …)` wrongly over json_each's values.)
DELETE FROM events
WHERE id IN (
    SELECT events.id FROM json_each(:rows) AS taken
    JOIN events ON events.id = taken.value ->> 0 AND events.key = taken.value ->> 1
)
RETURNING id;

-- name: create_instances
-- [workflow, id, trigger, success_ms, error_ms]; a taken id gives no row.
INSERT INTO instances (
    workflow, id, status, ready_ms, created_ms, modified_ms, trigger, success_ms, error_ms
)
SELECT
    value ->> 0, value ->> 1, 'queued', :now, :now, :now, value ->> 2, value ->> 3, value ->> 4
FROM json_each(:rows)
WHERE true
ON CONFLICT (workflow, id) DO NOTHING
RETURNING key, workflow, id;

-- name: finish_instances
-- [key, status]
UPDATE instances SET
    status = row.status, owner = NULL, ready_ms = NULL, wait_types = NULL,
    ended_ms = :now, modified_ms = :now,
    expires_ms = :now + CASE row.status WHEN 'complete' THEN success_ms ELSE error_ms END
FROM (SELECT value ->> 0 AS key, value ->> 1 AS status FROM json_each(:rows)) AS row
WHERE instances.key = row.key;

-- name: drop_events
-- [key, …]
DELETE FROM events WHERE key IN (SELECT value ->> 0 FROM json_each(:rows));

-- name: hibernate_instances
-- [key, wake_ms, event types as JSON text, events_seen]; gives the keys that may rest.
UPDATE instances SET
    status = CASE status WHEN 'rollingBack' THEN status ELSE 'waiting' END,
    owner = NULL, ready_ms = row.wake_ms, wait_types = row.types, crashes = 0, modified_ms = :now
FROM (
    SELECT
        value ->> 0 AS key, value ->> 1 AS wake_ms, value ->> 2 AS types, value ->> 3 AS seen
    FROM json_each(:rows)
) AS row
WHERE instances.key = row.key
AND status IN ('running', 'waiting', 'rollingBack')
AND NOT EXISTS (SELECT 1 FROM events WHERE events.key = row.key AND events.id > row.seen)
RETURNING instances.key;

-- name: add_events
-- [key, type, payload]
INSERT INTO events (key, type, payload, at_ms)
SELECT value ->> 0, value ->> 1, value ->> 2, :now FROM json_each(:rows);

-- name: wake_for_events
-- [key, type, …]: unheld instances that wait for that type are ready now.
UPDATE instances SET ready_ms = min(coalesce(ready_ms, :now), :now), modified_ms = :now
WHERE status = 'waiting' AND owner IS NULL
AND key IN (
    SELECT sent.value ->> 0 FROM json_each(:rows) AS sent
    JOIN instances AS waiting ON waiting.key = sent.value ->> 0
    WHERE EXISTS (
        SELECT 1 FROM json_each(waiting.wait_types) AS type WHERE type.value = sent.value ->> 1
    )
);

-- section: one instance ----------------------------------------------------------------------------

-- name: set_status
UPDATE instances SET status = :status, modified_ms = :now WHERE key = :key;

-- name: enter_pause
UPDATE instances SET
    status = 'paused', paused_ms = :now, owner = NULL, ready_ms = NULL, modified_ms = :now
WHERE key = :key AND status = 'waitingForPause';

-- name: release
UPDATE instances SET
    status = CASE status WHEN 'waitingForPause' THEN 'paused' ELSE status END,
    paused_ms = CASE status WHEN 'waitingForPause' THEN :now ELSE paused_ms END,
    ready_ms = CASE status WHEN 'waitingForPause' THEN NULL ELSE :now END,
    owner = NULL, modified_ms = :now
WHERE key = :key
RETURNING status;

-- name: pause_unheld
UPDATE instances SET
    status = 'paused', paused_ms = :now, ready_ms = NULL, epoch = epoch + 1, modified_ms = :now
WHERE key = :key;

-- name: resume_paused
UPDATE instances SET
    status = 'queued', ready_ms = :now, paused_ms = NULL, epoch = epoch + 1, modified_ms = :now
WHERE key = :key;

-- name: terminate
UPDATE instances SET
    status = 'terminated', owner = NULL, epoch = epoch + 1, ready_ms = NULL, wait_types = NULL,
    paused_ms = NULL, ended_ms = :now, modified_ms = :now, expires_ms = :now + error_ms
WHERE key = :key;

-- name: begin_rollback
UPDATE instances SET
    status = 'rollingBack', owner = NULL, epoch = epoch + 1, ready_ms = :now, wait_types = NULL,
    paused_ms = NULL, modified_ms = :now
WHERE key = :key;

-- name: restart
UPDATE instances SET
    status = 'queued', owner = NULL, epoch = epoch + 1, ready_ms = :now, wait_types = NULL,
    paused_ms = NULL, crashes = 0, crash_fact = 0, started_ms = NULL, ended_ms = NULL,
    expires_ms = NULL, modified_ms = :now
WHERE key = :key;

-- name: first_queued
SELECT payload, detail FROM facts WHERE key = :key AND kind = 1 ORDER BY id LIMIT 1;

-- name: step_ordinal
SELECT min(ordinal) FROM facts
WHERE key = :key AND step_kind = :step_kind AND name = :name AND count = :count;

-- name: facts_before
SELECT
    kind, at_ms, step_kind, name, count, ordinal, attempt, began_ms, due_ms, payload, detail
FROM facts WHERE key = :key AND ordinal < :ordinal ORDER BY id;

-- name: drop_facts
DELETE FROM facts WHERE key = :key;

-- name: drop_chunks
DELETE FROM chunks WHERE key = :key AND ordinal >= :ordinal;

-- name: drop_step_chunks
DELETE FROM chunks
WHERE key = :key AND step_kind = :step_kind AND name = :name AND count = :count;

-- name: put_chunk
INSERT OR REPLACE INTO chunks (key, step_kind, name, count, attempt, position, ordinal, data)
VALUES (:key, :step_kind, :name, :count, :attempt, :position, :ordinal, :data);

-- name: drop_instance
DELETE FROM instances WHERE key = :key;

-- section: workers ---------------------------------------------------------------------------------

-- name: ready_keys
SELECT key, ready_ms FROM instances
WHERE workflow = :workflow AND owner IS NULL AND ready_ms IS NOT NULL AND ready_ms <= :now
ORDER BY ready_ms LIMIT :limit;

-- name: claim
UPDATE instances SET
    owner = :worker, epoch = epoch + 1, ready_ms = NULL, wait_types = NULL, modified_ms = :now,
    status = CASE status WHEN 'rollingBack' THEN status ELSE 'running' END,
    started_ms = coalesce(started_ms, :now)
WHERE key IN (SELECT value FROM json_each(:rows)) AND owner IS NULL
RETURNING
    key, workflow, id, status, trigger, owner, epoch, ready_ms, paused_ms, crashes,
    created_ms, modified_ms, started_ms, ended_ms;

-- name: next_ready
SELECT min(ready_ms) FROM instances
WHERE workflow = :workflow AND owner IS NULL AND ready_ms IS NOT NULL;

-- name: beat
INSERT INTO workers (id, expires_ms) VALUES (:worker, :expires)
ON CONFLICT (id) DO UPDATE SET expires_ms = excluded.expires_ms WHERE NOT is_reaped
RETURNING id;

-- name: retire_worker
DELETE FROM workers WHERE id = :worker;

-- name: held_keys
SELECT key FROM instances WHERE owner = :worker;

-- name: mark_lapsed
UPDATE workers SET is_reaped = 1 WHERE expires_ms < :now AND NOT is_reaped;

-- name: forget_lapsed
DELETE FROM workers WHERE is_reaped AND expires_ms < :before;

-- name: lapsed_keys
SELECT key FROM instances
WHERE owner IS NOT NULL
AND NOT EXISTS (SELECT 1 FROM workers WHERE workers.id = owner AND NOT is_reaped)
LIMIT :limit;

-- name: is_any_lapsed
SELECT EXISTS (SELECT 1 FROM workers WHERE expires_ms < :now AND NOT is_reaped)
OR EXISTS (
    SELECT 1 FROM instances
    WHERE owner IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM workers WHERE workers.id = owner AND NOT is_reaped)
);

-- name: free_lapsed
-- What is no progress: a start, or running and waiting (kinds 3, 4, 21, 22, 30, 40).
UPDATE instances SET
    crashes = CASE WHEN row.progress > crash_fact THEN 1 ELSE crashes + 1 END,
    crash_fact = row.progress,
    status = CASE status WHEN 'waitingForPause' THEN 'paused' ELSE status END,
    paused_ms = CASE status WHEN 'waitingForPause' THEN :now ELSE paused_ms END,
    ready_ms = CASE status WHEN 'waitingForPause' THEN NULL ELSE :now END,
    owner = NULL, epoch = epoch + 1, modified_ms = :now
FROM (
    SELECT
        value AS key,
        coalesce((
            SELECT id FROM facts
            WHERE facts.key = lapsed.value AND kind NOT IN (3, 4, 21, 22, 30, 40)
            ORDER BY id DESC LIMIT 1
        ), 0) AS progress
    FROM json_each(:rows) AS lapsed
) AS row
WHERE instances.key = row.key
RETURNING instances.key, status;

-- name: expired_keys
SELECT key FROM instances WHERE expires_ms IS NOT NULL AND expires_ms <= :now LIMIT :limit;

-- section: reading ---------------------------------------------------------------------------------

-- name: load_facts
SELECT
    key, id, kind, at_ms, step_kind, name, count, ordinal, attempt, began_ms, due_ms, payload, detail
FROM facts WHERE key IN (SELECT value FROM json_each(:rows)) ORDER BY key, id;

-- name: load_events
SELECT key, id, type, payload, at_ms FROM events
WHERE key IN (SELECT value FROM json_each(:rows)) ORDER BY key, id;

-- name: load_keys
SELECT key FROM instances WHERE key IN (SELECT value FROM json_each(:rows));

-- name: read_facts
SELECT
    key, id, kind, at_ms, step_kind, name, count, ordinal, attempt, began_ms, due_ms, payload, detail
FROM facts WHERE key = :key AND id > :after ORDER BY id LIMIT :limit;

-- name: last_fact
SELECT
    key, id, kind, at_ms, step_kind, name, count, ordinal, attempt, began_ms, due_ms, payload, detail
FROM facts WHERE key = :key ORDER BY id DESC LIMIT 1;

-- name: pending_events
SELECT key, id, type, payload, at_ms FROM events WHERE key = :key AND id > :after ORDER BY id;

-- name: signals
SELECT
    key, epoch, status,
    coalesce((SELECT max(events.id) FROM events WHERE events.key = instances.key), 0)
FROM instances WHERE owner = :worker;

-- name: find
SELECT
    key, workflow, id, status, trigger, owner, epoch, ready_ms, paused_ms, crashes,
    created_ms, modified_ms, started_ms, ended_ms
FROM instances WHERE workflow = :workflow AND id = :id;

-- name: list_all
SELECT
    key, workflow, id, status, trigger, owner, epoch, ready_ms, paused_ms, crashes,
    created_ms, modified_ms, started_ms, ended_ms
FROM instances WHERE workflow = :workflow AND key < :before ORDER BY key DESC LIMIT :limit;

-- name: list_by_status
SELECT
    key, workflow, id, status, trigger, owner, epoch, ready_ms, paused_ms, crashes,
    created_ms, modified_ms, started_ms, ended_ms
FROM instances WHERE workflow = :workflow AND status = :status AND key < :before
ORDER BY key DESC LIMIT :limit;

-- name: count_by_status
SELECT status, count(*) FROM instances WHERE workflow = :workflow GROUP BY status;

-- name: read_chunk
SELECT data FROM chunks
WHERE key = :key AND step_kind = :step_kind AND name = :name AND count = :count
AND attempt = :attempt AND position = :position;
