-- join_span.lua adds a call, whose messages a gateway has accepted, to the calls of a span of time. One request asks
-- for the delivery reports of all calls of the span (span.go).
-- KEYS: 1 campaigns by the time of their next turn, 2 states of the calls
-- ARGV, in the order of joinSpanArgs:
--   span         'start+length' in ms
--   call         'id:upload batch.call.generation'
--   state        of the span (queue.go)
--   due          ms: time of the first request for the span's reports
--   most         maximum number of waiting calls and spans of the login
--   most_calls   maximum number of calls of a span
--   life         ms for which the keys are kept after the last call
-- Returns {'added'}, {'kept'} (the call waits already) or {'full'}. Running it again answers 'kept'.
local span, call, state, due, most, most_calls, life = unpack(ARGV)
local spans, calls, field = KEYS[1] .. ':c:span', KEYS[1] .. ':m:' .. span, 'span ' .. span
local waits = redis.call('HEXISTS', KEYS[2], field) == 1
if redis.call('SISMEMBER', calls, call) == 1 and waits then return {'kept'} end
if redis.call('SCARD', calls) >= tonumber(most_calls) then return {'full'} end
if not waits then
  if redis.call('HLEN', KEYS[2]) >= tonumber(most) then return {'full'} end
  redis.call('HSET', KEYS[2], field, state)
  redis.call('ZADD', spans, due, span)
  local turn = redis.call('ZSCORE', KEYS[1], 'span')
  if not turn or tonumber(turn) > tonumber(due) then redis.call('ZADD', KEYS[1], due, 'span') end
end
redis.call('SADD', calls, call)
for _, key in ipairs({KEYS[1], KEYS[2], spans, calls}) do redis.call('PEXPIRE', key, life) end
return {'added'}
