-- Queries by name. `:now` is always bound. A query over many rows begins with a table of them, whose
-- one line of VALUES is widened to as many as there are; lines of zeros may follow, so a query that
-- gives or adds something for each row leaves those out.

-- section: batches ---------------------------------------------------------------------------------

-- name: stale_leases
-- Positions of leases that their instances do not have any more.
WITH lease (position, key, epoch, owner) AS (VALUES (?, ?, ?, ?))
SELECT position FROM lease
WHERE position > 0 AND NOT EXISTS (
    SELECT 1 FROM instances
    WHERE instances.key = lease.key
    AND instances.epoch = lease.epoch
    AND instances.owner = lease.owner
);

-- name: find_refs
WITH ref (workflow, id) AS (VALUES (?, ?))
SELECT instances.workflow, instances.id, key, status, owner IS NOT NULL, paused_ms
FROM ref CROSS JOIN instances
ON instances.workflow = ref.workflow AND instances.id = ref.id;

-- name: insert_facts
WITH fact (
    key, kind, at_ms, step_kind, name, count, ordinal, attempt, began_ms, due_ms, payload, detail
) AS (VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?))
INSERT INTO facts (
    key, kind, at_ms, step_kind, name, count, ordinal, attempt, began_ms, due_ms, payload, detail
)
SELECT
    key, kind, at_ms, step_kind, name, count, ordinal, attempt, began_ms, due_ms, payload, detail
FROM fact WHERE key > 0;

-- name: take_events
-- Consume pending events; gives those that were there.
WITH wanted (id, key) AS (VALUES (?, ?))
DELETE FROM events WHERE id IN (
    SELECT events.id FROM wanted CROSS JOIN events
    ON events.id = wanted.id AND events.key = wanted.key
)
RETURNING id;

-- name: create_instances
-- Gives the key of each; an id that is taken gives none.
WITH made (workflow, id, source, success_ms, error_ms, now) AS (VALUES (?, ?, ?, ?, ?, ?))
INSERT INTO instances (
    workflow, id, status, ready_ms, created_ms, modified_ms, trigger, success_ms, error_ms
)
SELECT workflow, id, 'queued', now, now, now, source, success_ms, error_ms FROM made
WHERE typeof(workflow) = 'text'
ON CONFLICT (workflow, id) DO NOTHING
RETURNING key, workflow, id;

-- name: finish_instances
WITH ended (key, status, now) AS (VALUES (?, ?, ?))
UPDATE instances SET
    status = ended.status, owner = NULL, ready_ms = NULL, wait_types = NULL,
    ended_ms = ended.now, modified_ms = ended.now,
    expires_ms = ended.now + CASE ended.status WHEN 'complete' THEN success_ms ELSE error_ms END
FROM ended WHERE instances.key = ended.key;

-- name: hibernate_instances
-- Gives the keys of those that may rest.
WITH resting (key, wake_ms, types, events_seen, now) AS (VALUES (?, ?, ?, ?, ?))
UPDATE instances SET
    status = CASE status WHEN 'rollingBack' THEN status ELSE 'waiting' END,
    owner = NULL, ready_ms = resting.wake_ms, wait_types = resting.types, crashes = 0,
    modified_ms = resting.now
FROM resting
WHERE instances.key = resting.key
AND status IN ('running', 'waiting', 'rollingBack')
AND NOT EXISTS (
    SELECT 1 FROM events WHERE events.key = resting.key AND events.id > resting.events_seen
)
RETURNING instances.key;

-- name: wake_resting
UPDATE instances SET ready_ms = :now, modified_ms = :now
WHERE key = :key AND epoch = :epoch AND owner IS NULL AND status = 'waiting'
RETURNING key;

-- name: hand_back
-- Ready for another worker, or paused if a pause was asked for.
WITH handed (key, now) AS (VALUES (?, ?))
UPDATE instances SET
    status = CASE status WHEN 'waitingForPause' THEN 'paused' ELSE status END,
    paused_ms = CASE status WHEN 'waitingForPause' THEN handed.now ELSE paused_ms END,
    ready_ms = CASE status WHEN 'waitingForPause' THEN NULL ELSE handed.now END,
    owner = NULL, modified_ms = handed.now
FROM handed WHERE instances.key = handed.key
RETURNING instances.key, status;

-- name: insert_events
WITH event (key, type, payload, at_ms) AS (VALUES (?, ?, ?, ?))
INSERT INTO events (key, type, payload, at_ms)
SELECT key, type, payload, at_ms FROM event WHERE key > 0;

-- name: wake_for_events
-- What waits unheld for that type is ready now.
WITH sent (key, type, now) AS (VALUES (?, ?, ?))
UPDATE instances SET
    ready_ms = min(coalesce(ready_ms, sent.now), sent.now), modified_ms = sent.now
FROM sent
WHERE instances.key = sent.key AND status = 'waiting' AND owner IS NULL
AND EXISTS (SELECT 1 FROM json_each(wait_types) AS awaited WHERE awaited.value = sent.type);

-- section: one instance ----------------------------------------------------------------------------

-- name: set_status
UPDATE instances SET status = :status, modified_ms = :now WHERE key = :key;

-- name: enter_pause
-- Gives the key if the pause is still asked for.
UPDATE instances SET
    status = 'paused', paused_ms = :now, owner = NULL, ready_ms = NULL, modified_ms = :now
WHERE key = :key AND status = 'waitingForPause'
RETURNING key;

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

-- name: step_ordinal
SELECT min(ordinal) FROM facts
WHERE key = :key AND step_kind = :step_kind AND name = :name AND count = :count;

-- name: newest_fact
SELECT max(id) FROM facts WHERE key = :key;

-- name: queue_again
INSERT INTO facts (key, kind, at_ms, payload, detail)
SELECT key, kind, :now, payload, detail FROM facts WHERE key = :key AND kind = 1 ORDER BY id LIMIT 1;

-- name: write_anew
-- Earlier steps, and the pauses (kind 7) that moved a timer of theirs.
INSERT INTO facts (
    key, kind, at_ms, step_kind, name, count, ordinal, attempt, began_ms, due_ms, payload, detail
)
SELECT
    key, kind, at_ms, step_kind, name, count, ordinal, attempt, began_ms, due_ms, payload, detail
FROM facts
WHERE key = :key
AND (ordinal < :ordinal OR kind = 7 AND EXISTS (
    SELECT 1 FROM facts AS timer
    WHERE timer.key = :key AND timer.id < facts.id
    AND timer.ordinal < :ordinal AND timer.due_ms IS NOT NULL
))
ORDER BY id;

-- name: drop_facts_until
DELETE FROM facts WHERE key = :key AND id <= :newest;

-- name: drop_chunks_from
DELETE FROM chunks WHERE key = :key AND ordinal >= :ordinal;

-- name: drop_step_chunks
DELETE FROM chunks
WHERE key = :key AND step_kind = :step_kind AND name = :name AND count = :count;

-- name: put_chunk
INSERT OR REPLACE INTO chunks (key, step_kind, name, count, attempt, position, ordinal, data)
VALUES (:key, :step_kind, :name, :count, :attempt, :position, :ordinal, :data);

-- section: what goes with many instances -----------------------------------------------------------

-- name: drop_events
WITH gone (key) AS (VALUES (?))
DELETE FROM events WHERE key IN (SELECT key FROM gone);

-- name: drop_facts
WITH gone (key) AS (VALUES (?))
DELETE FROM facts WHERE key IN (SELECT key FROM gone);

-- name: drop_chunks
WITH gone (key) AS (VALUES (?))
DELETE FROM chunks WHERE key IN (SELECT key FROM gone);

-- name: drop_instances
WITH gone (key) AS (VALUES (?))
DELETE FROM instances WHERE key IN (SELECT key FROM gone);

-- section: workers ---------------------------------------------------------------------------------

-- name: ready_keys
SELECT started_ms IS NULL, ready_ms, key FROM instances
WHERE workflow = :workflow AND (started_ms IS NULL) = :is_new
AND owner IS NULL AND ready_ms IS NOT NULL AND ready_ms <= :now
ORDER BY ready_ms, key LIMIT :limit;

-- name: claim
UPDATE instances SET
    owner = :worker, epoch = epoch + 1, ready_ms = NULL, wait_types = NULL, modified_ms = :now,
    status = CASE status WHEN 'rollingBack' THEN status ELSE 'running' END,
    started_ms = coalesce(started_ms, :now)
WHERE key IN (SELECT value FROM json_each(:keys))
AND owner IS NULL AND ready_ms <= :now
AND status IN ('queued', 'running', 'waiting', 'rollingBack')
RETURNING
    key, workflow, id, status, trigger, owner, epoch, ready_ms, paused_ms, crashes,
    created_ms, modified_ms, started_ms, ended_ms;

-- name: next_ready
SELECT min(ready_ms) FROM instances
WHERE workflow = :workflow AND (started_ms IS NULL) = :is_new
AND owner IS NULL AND ready_ms IS NOT NULL;

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
-- No progress: a start, running, waiting (kinds 3, 4, 21, 22, 30, 40).
WITH lapsed (key) AS (VALUES (?)), freed (key, progress) AS (
    SELECT
        key,
        coalesce((
            SELECT id FROM facts
            WHERE facts.key = lapsed.key AND kind NOT IN (3, 4, 21, 22, 30, 40)
            ORDER BY id DESC LIMIT 1
        ), 0)
    FROM lapsed
)
UPDATE instances SET
    crashes = CASE WHEN freed.progress > crash_fact THEN 1 ELSE crashes + 1 END,
    crash_fact = freed.progress, epoch = epoch + 1
FROM freed WHERE instances.key = freed.key;

-- name: is_any_expired
SELECT EXISTS (SELECT 1 FROM instances WHERE expires_ms <= :now);

-- name: expired_keys
-- Finished instances past their retention, each with how many facts it has.
SELECT key, (SELECT count(*) FROM facts WHERE facts.key = instances.key) FROM instances
WHERE expires_ms <= :now ORDER BY expires_ms LIMIT :limit;

-- section: reading ---------------------------------------------------------------------------------

-- name: load_facts
SELECT
    key, id, kind, at_ms, step_kind, name, count, ordinal, attempt, began_ms, due_ms, payload, detail
FROM facts WHERE key IN (SELECT value FROM json_each(:keys)) ORDER BY key, id;

-- name: load_events
SELECT key, id, type, payload, at_ms FROM events
WHERE key IN (SELECT value FROM json_each(:keys)) ORDER BY key, id;

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
WITH ref (workflow, id) AS (VALUES (?, ?))
SELECT
    key, instances.workflow, instances.id, status, trigger, owner, epoch, ready_ms, paused_ms,
    crashes, created_ms, modified_ms, started_ms, ended_ms
FROM ref CROSS JOIN instances
ON instances.workflow = ref.workflow AND instances.id = ref.id;

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

-- section: the file --------------------------------------------------------------------------------

-- name: what_it_is
SELECT
    (SELECT application_id FROM pragma_application_id),
    (SELECT user_version FROM pragma_user_version),
    (SELECT count(*) FROM sqlite_schema);

-- name: find_any
SELECT 1 FROM instances LIMIT 1;

-- name: commits_of_others
PRAGMA data_version;
