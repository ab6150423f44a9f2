-- begin.lua takes or renews the lease of an endpoint, and reads its state.
-- KEYS: 1 lease, 2 state, 3 waiting messages, 4 their records, 5 dead list
-- ARGV, in the order of beginArgs:
--   token   of the process that delivers
--   lease   ms
--   keep    ms: how long the other keys are kept after the last run of this script
-- Returns {'busy'} if another process has the lease, else {'ok', cursor, failures, open, gone} followed by the waiting
-- messages, each with the time of its next attempt. Running it again answers the same.
local token, lease, keep = unpack(ARGV)
lease, keep = tonumber(lease), tonumber(keep)
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= token then return {'busy'} end
if not holder or redis.call('PTTL', KEYS[1]) < lease * 2 / 3 then redis.call('SET', KEYS[1], token, 'PX', lease) end
for i = 2, #KEYS do
  local left = redis.call('PTTL', KEYS[i])
  if left ~= -2 and left < keep - 86400000 then redis.call('PEXPIRE', KEYS[i], keep) end
end
local out = {'ok'}
for _, value in ipairs(redis.call('HMGET', KEYS[2], 'cursor', 'failures', 'open', 'gone')) do out[#out + 1] = value or '' end
for _, word in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1, 'WITHSCORES')) do out[#out + 1] = word end
return out
