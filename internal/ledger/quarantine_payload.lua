-- quarantine_payload.lua keeps the unreadable payload of a task that belongs to no known campaign.
-- KEYS: 1 hash of the stored payloads
-- ARGV, in the order of quarantinePayloadArgs:
--   token
--   name   name of the payload
--   entry  its entry
--   kept   how many entries are kept
-- Returns {first 0|1}: 0 if an earlier run with another token has stored the payload, else 1.
-- If the hash already has the number of entries in "kept", further payloads are only counted, in the field '+'.
local token, name, entry, kept = unpack(ARGV)
local old = redis.call('HGET', KEYS[1], name)
if old then return {string.sub(old, 1, #token + 1) == token .. ' ' and '1' or '0'} end
if redis.call('HLEN', KEYS[1]) >= tonumber(kept) then
  redis.call('HINCRBY', KEYS[1], '+', 1)
  return {'1'}
end
redis.call('HSET', KEYS[1], name, token .. ' ' .. entry)
return {'1'}
