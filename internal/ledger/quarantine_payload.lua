-- quarantine_payload.lua keeps the unreadable payload of a task that belongs to no known campaign.
-- KEYS: 1 list of such payloads
-- ARGV: 1 token, 2 name of the payload, 3 its entry, 4 how many entries are kept
-- Returns {first 0|1}. The token that entered the payload gets the same answer again. When the list is full, payloads
-- are only counted, in the field '+'.
local old = redis.call('HGET', KEYS[1], ARGV[2])
if old then return {string.sub(old, 1, #ARGV[1] + 1) == ARGV[1] .. ' ' and '1' or '0'} end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then
  redis.call('HINCRBY', KEYS[1], '+', 1)
  return {'1'}
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[1] .. ' ' .. ARGV[3])
return {'1'}
