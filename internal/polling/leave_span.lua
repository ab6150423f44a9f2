-- leave_span.lua removes calls from a leased span of time, because they need no further report. It also extends the
-- lease.
-- KEYS: 1 campaigns by the time of their next turn, 2 states of the calls
-- ARGV, in the order of leaveSpanArgs:
--   span   'start+length' in ms
--   token  of the lease
--   lease  ms
--   calls  the calls to remove, each 'id:upload batch.call.generation', separated by line feeds
-- Returns {'kept'} or {'lost'} (another process may have the span). Running it again changes only the end of the lease.
local span, token, lease, calls = unpack(ARGV)
local state = redis.call('HGET', KEYS[2], 'span ' .. span)
if not state or string.match(state, '(%S+)$') ~= token then return {'lost'} end
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
redis.call('ZADD', KEYS[1] .. ':c:span', string.format('%.0f', now + tonumber(lease)), span)
for call in string.gmatch(calls, '[^\n]+') do redis.call('SREM', KEYS[1] .. ':m:' .. span, call) end
return {'kept'}
