-- end_span.lua removes a leased span of time, and ends the lease. The caller runs it when the last request for the
-- reports of the span has been made. If calls were added during the lease, the span stays. The span is then due at once,
-- in its first step.
-- KEYS: 1 campaigns by the time of their next turn, 2 states of the calls
-- ARGV, in the order of endSpanArgs:
--   span   'start+length' in ms
--   token  of the lease
-- Returns {'ended'}, {'stays'} or {'lost'} (another process may have the span). Running it again answers 'lost'.
local span, token = unpack(ARGV)
local spans, field = KEYS[1] .. ':c:span', 'span ' .. span
local accepted, by = string.match(redis.call('HGET', KEYS[2], field) or '', '^(%d+) %d+ %d+ (%S+)$')
if by ~= token then return {'lost'} end
if redis.call('EXISTS', KEYS[1] .. ':m:' .. span) == 0 then
  redis.call('HDEL', KEYS[2], field)
  redis.call('ZREM', spans, span)
  if redis.call('EXISTS', spans) == 0 then redis.call('ZREM', KEYS[1], 'span') end
  return {'ended'}
end
local t = redis.call('TIME')
local now = string.format('%.0f', tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000))
redis.call('HSET', KEYS[2], field, accepted .. ' 0 0 -')
redis.call('ZADD', spans, now, span)
local turn = redis.call('ZSCORE', KEYS[1], 'span')
if not turn or tonumber(turn) > tonumber(now) then redis.call('ZADD', KEYS[1], now, 'span') end
return {'stays'}
