-- commit.lua turns a finished upload into a campaign, or finds the campaign that already has its id.
-- KEYS: 1 ledger, 2 open set, 3 staging hash of the upload, 4 spec, 5 tombstone
-- ARGV:
--   1  upload id (the token)
--   2  content hash
--   3  spec record
--   4  recipients
--   5  pages
--   6  start at ms, or 0
--   7  expires at ms, or 0
--   8  failure threshold and canary (the field lim, prelude.lua), or ''
-- Returns {word, created ms, recipients}, where word is
--   'new'                    the campaign was created
--   'same', 'conflict'       it exists with the same, or with other content
--   'past', 'past_conflict'  the same for a campaign that retention has removed
--   'lost'                   the staging hash is incomplete
-- 'lost' changes nothing. Every other word but 'new' only deletes the staging hash.
local now = now_ms()
local old = redis.call('GET', KEYS[5])
if old then
  redis.call('UNLINK', KEYS[3])
  local hash, at, n = string.match(old, '^(%S+) (%d+) (%d+)')
  return {hash == ARGV[2] and 'past' or 'past_conflict', at, n}
end
if redis.call('EXISTS', L) == 1 then
  local here = redis.call('HMGET', L, 'hash', 'at', 'total', 'up')
  if here[4] == ARGV[1] then return {'new', here[2], here[3]} end
  redis.call('UNLINK', KEYS[3])
  return {here[1] == ARGV[2] and 'same' or 'conflict', here[2], here[3]}
end
if redis.call('HLEN', KEYS[3]) ~= tonumber(ARGV[5]) then return {'lost', '0', '0'} end
redis.call('RENAME', KEYS[3], L)
redis.call('PERSIST', L)
set('v', '1', 'hash', ARGV[2], 'up', ARGV[1], 'at', int(now), 'total', ARGV[4], 'pg', ARGV[5], 'cur', '0',
  'pending', ARGV[4], 'wplan', '1')
if ARGV[8] ~= '' then set('lim', ARGV[8]) end
if ARGV[6] ~= '0' then set('start', ARGV[6]) end
if ARGV[7] ~= '0' then set('exp', ARGV[7]) end
redis.call('SET', KEYS[4], ARGV[3])
local due = now + 5000
if tonumber(ARGV[6]) > now then due = tonumber(ARGV[6]) end
redis.call('ZADD', O, int(due), 'plan')
return {'new', int(now), ARGV[4]}
