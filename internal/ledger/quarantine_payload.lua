-- payload_aside.lua keeps a task's payload that cannot be read and names no campaign.
-- KEYS: 1 list of such payloads
-- ARGV: 1 token, 2 its name, 3 its entry, 4 how many are kept
-- Returns {first 0|1}; the token that entered it is answered the same again. A list that is full counts only, under '+'.
local old = redis.call('HGET', KEYS[1], ARGV[2])
if old then return {string.sub(old, 1, #ARGV[1] + 1) == ARGV[1] .. ' ' and '1' or '0'} end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then
  redis.call('HINCRBY', KEYS[1], '+', 1)
  return {'1'}
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[1] .. ' ' .. ARGV[3])
return {'1'}
