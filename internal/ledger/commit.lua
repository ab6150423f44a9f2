-- commit.lua turns a finished upload into a campaign, or finds the campaign that already has the id of the upload.
-- KEYS: 1 ledger, 2 open set, 3 staging hash of the upload, 4 spec, 5 tombstone, 6 tokens of the uploads in progress,
--   7 quarantined records, 8 quarantined work. The tombstone may be an archive (archive.lua)
-- ARGV, in the order of commitArgs:
--   token              of the upload
--   content            content hash
--   spec               record of the spec
--   total              number of recipients
--   pages              number of pages
--   fields             number of fields of the staging hash: one for each page, and one more for each page that has
--                      references
--   start_at           ms, or 0
--   expires_at         ms, or 0
--   failure_threshold  failure threshold and canary (the field lim, prelude.lua), or ''
-- Returns {word, created ms, recipients}, where word is
--   'new'                    the campaign was created
--   'replaced'               it was created in place of a campaign that was cancelled before anything was submitted
--   'same'                   it exists with the same content
--   'conflict'               it exists with other content
--   'past', 'past_conflict'  like 'same' and 'conflict', for a campaign that retention has removed
--   'archived'               it is a message with an archive. The answer has two elements: this word and the archive
--   'lost'                   the staging hash is incomplete
-- If this upload is committed already, the script returns its first answer again.
-- A word other than 'new' and 'replaced' only ends the upload: the script removes the token from the uploads in progress
-- and, except for 'lost', deletes the staging hash.
local token, content, spec, total, pages, fields, start_at, expires_at, failure_threshold = unpack(ARGV)
local now = now_ms()
redis.call('SREM', KEYS[6], token)
local old = redis.call('GET', KEYS[5])
-- is_same compares the content with a stored content hash. An archive, and a message that was restored from an archive,
-- has only the first 24 characters of the content hash.
local function is_same(hash) return #hash >= 24 and string.sub(content, 1, #hash) == hash end
if old then
  redis.call('UNLINK', KEYS[3])
  local hash, at, n = string.match(old, '^(%S+) (%d+) (%d+)')
  if not hash or string.byte(old) < 45 then return {'archived', old} end
  return {is_same(hash) and 'past' or 'past_conflict', at, n}
end
if redis.call('EXISTS', L) == 1 then
  local here = redis.call('HMGET', L, 'hash', 'at', 'total', 'up')
  if here[4] == token then
    redis.call('UNLINK', KEYS[3]) -- a repeated pipeline has written the staging hash again
    return {get('took') and 'replaced' or 'new', here[2], here[3]}
  end
  if unfit() or not is_free() then
    redis.call('UNLINK', KEYS[3])
    return {is_same(here[1]) and 'same' or 'conflict', here[2], here[3]}
  end
end
if redis.call('HLEN', KEYS[3]) ~= tonumber(fields) then return {'lost', '0', '0'} end
local before = get('up')
redis.call('UNLINK', L, O, KEYS[7], KEYS[8])
redis.call('RENAME', KEYS[3], L)
redis.call('PERSIST', L)
set('v', '1', 'hash', content, 'up', token, 'at', int(now), 'total', total, 'pg', pages, 'cur', '0', 'pending', total, 'wplan', '1')
if before then set('took', before) end
if failure_threshold ~= '' then set('lim', failure_threshold) end
if start_at ~= '0' then set('start', start_at) end
if expires_at ~= '0' then set('exp', expires_at) end
redis.call('SET', KEYS[4], spec)
local due = now + 5000
if tonumber(start_at) > now then due = tonumber(start_at) end
redis.call('ZADD', O, int(due), 'plan')
return {before and 'replaced' or 'new', int(now), total}
