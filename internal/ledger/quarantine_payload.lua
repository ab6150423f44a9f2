-- quarantine_payload.lua keeps the unreadable payload of a task that belongs to no known campaign.
-- KEYS: 1 list of such payloads
-- ARGV, in the order of quarantinePayloadArgs:
--   token
--   name   name of the payload
--   entry  its entry
--   kept   how many entries are kept
-- Returns {first 0|1}. A repeated run with the token that entered the payload returns the same answer.
-- When the list is full, payloads are only counted, in the field '+'.
local token, name, entry, kept = unpack(ARGV)
local old = redis.call('HGET', KEYS[1], name)
if old then return {string.sub(old, 1, #token + 1) == token .. ' ' and '1' or '0'} end
if redis.call('HLEN', KEYS[1]) >= tonumber(kept) then
  redis.call('HINCRBY', KEYS[1], '+', 1)
  return {'1'}
end
redis.call('HSET', KEYS[1], name, token .. ' ' .. entry)
return {'1'}
