-- take.lua counts the usage of a key of the HTTP API: requests of this second, and messages of this day in UTC. If one
-- of these two counts would exceed its limit, the script counts nothing.
-- KEYS: 1 counts of the key: day, messages, second, requests
-- ARGV, in the order of takeArgs:
--   token       of this request, because the client repeats a script whose answer was lost
--   messages    number of messages; if negative, they are given back
--   daily       maximum number of messages a day; 0 means no limit
--   requests    number of requests
--   per_second  maximum number of requests a second; 0 means no limit
-- Returns {'ok'|'fast'|'spent'}. A repeated run with one of the last eight counted tokens returns 'ok' and counts
-- nothing.
local token, messages, daily, requests, per_second = unpack(ARGV)
messages, daily, requests, per_second = tonumber(messages), tonumber(daily), tonumber(requests), tonumber(per_second)
local second = tonumber(redis.call('TIME')[1])
local day = math.floor(second / 86400)
local was = redis.call('HMGET', KEYS[1], 'day', 'messages', 'second', 'requests', 'tokens')
local tokens = was[5] or ''
if string.find(tokens, token, 1, true) then return {'ok'} end
local sent = tonumber(was[1]) == day and tonumber(was[2]) or 0
local asked = tonumber(was[3]) == second and tonumber(was[4]) or 0
if per_second > 0 and asked + requests > per_second then return {'fast'} end
if daily > 0 and messages > 0 and sent + messages > daily then return {'spent'} end
redis.call('HSET', KEYS[1], 'day', day, 'messages', math.max(0, sent + messages), 'second', second, 'requests', asked + requests, 'tokens', string.sub(token .. ' ' .. tokens, 1, 8 * (#token + 1)))
redis.call('EXPIRE', KEYS[1], 172800)
return {'ok'}
