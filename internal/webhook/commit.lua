-- commit.lua writes the outcome of some attempts, if the process still has the lease of the endpoint.
-- KEYS: 1 lease, 2 state, 3 waiting messages, 4 their records, 5 dead list
-- ARGV, in the order of commitArgs:
--   token      of the process that delivers
--   cursor     of the last event that was delivered, skipped or queued
--   failures   number of requests in a row that failed
--   open       ms: no request is sent before this time; 0: requests may be sent now
--   gone       fingerprint of the URL that answered 410, or ''
--   error      of the last request that failed; '' leaves the stored error
--   error_at   ms
--   ok_at      ms: when a message was delivered; 0 leaves the stored time
--   hurry      ms: time of the next attempt of all waiting messages; 0 leaves their times
--   max_dead   maximum number of entries of the dead list
--   keep       ms: how long a new key is kept
-- and for each message, in the order of change:
--   action     'done', 'wait' or 'dead'
--   member     of the waiting messages
--   due        ms: time of the next attempt
--   record
-- Returns {'ok'|'lost'}. Running it again changes nothing.
local token, cursor, failures, open, gone, error, error_at, ok_at, hurry, max_dead, keep = unpack(ARGV)
local FIRST, ARGS = 12, 4
if redis.call('GET', KEYS[1]) ~= token then return {'lost'} end
redis.call('HSET', KEYS[2], 'cursor', cursor, 'failures', failures, 'open', open, 'gone', gone)
if error ~= '' then redis.call('HSET', KEYS[2], 'error', error, 'error_at', error_at) end
if ok_at ~= '0' then redis.call('HSET', KEYS[2], 'ok_at', ok_at) end
for i = FIRST, #ARGV, ARGS do
  local action, member, due, record = unpack(ARGV, i, i + ARGS - 1)
  if action == 'wait' then
    redis.call('ZADD', KEYS[3], due, member)
    redis.call('HSET', KEYS[4], member, record)
  else
    local was = redis.call('ZREM', KEYS[3], member)
    redis.call('HDEL', KEYS[4], member)
    if action == 'dead' and was == 1 then redis.call('XADD', KEYS[5], 'MAXLEN', max_dead, '*', 'm', member, 'r', record) end
  end
end
if hurry ~= '0' then
  for _, member in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do redis.call('ZADD', KEYS[3], hurry, member) end
end
for i = 2, #KEYS do
  if redis.call('PTTL', KEYS[i]) == -1 then redis.call('PEXPIRE', KEYS[i], keep) end
end
return {'ok'}
