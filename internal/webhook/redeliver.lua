-- redeliver.lua moves messages from the dead list of an endpoint to its waiting messages.
-- KEYS: 1 dead list, 2 waiting messages, 3 their records
-- ARGV, in the order of redeliverArgs:
--   due          ms: time of the next attempt
--   max_waiting  maximum number of waiting messages
--   keep         ms: how long a new key is kept
-- and for each message, in the order of deadChange:
--   id           of the entry in the dead list
--   member       of the waiting messages
--   record
-- Returns {the number of these messages that wait now}. A repeated run returns the same, unless messages
-- were delivered meanwhile.
local due, max_waiting, keep = unpack(ARGV)
local FIRST, ARGS = 4, 3
local n = 0
for i = FIRST, #ARGV, ARGS do
  local id, member, record = unpack(ARGV, i, i + ARGS - 1)
  local waits = redis.call('ZSCORE', KEYS[2], member)
  if not waits and redis.call('ZCARD', KEYS[2]) < tonumber(max_waiting) and redis.call('XDEL', KEYS[1], id) == 1 then
    redis.call('ZADD', KEYS[2], due, member)
    redis.call('HSET', KEYS[3], member, record)
    waits = true
  end
  if waits then n = n + 1 end
end
for i = 2, #KEYS do
  if redis.call('PTTL', KEYS[i]) == -1 then redis.call('PEXPIRE', KEYS[i], keep) end
end
return {n}
