-- add.lua adds a call to the calls that wait for delivery reports. A gateway has accepted messages of this call.
-- KEYS: 1 campaigns by the time of their next turn, 2 states of the calls
-- ARGV, in the order of addArgs:
--   campaign  'id:upload'
--   call      'batch.call.generation'
--   state     of the call (queue.go)
--   due       ms: time of the first request for its reports
--   most      maximum number of waiting calls
--   life      ms for which the keys are kept after the last call
-- Returns {'added'}, {'kept'} (the call waits already) or {'full'}. Running it again answers 'kept'.
local campaign, call, state, due, most, life = unpack(ARGV)
local calls, field = KEYS[1] .. ':c:' .. campaign, campaign .. ' ' .. call
if redis.call('HEXISTS', KEYS[2], field) == 1 then return {'kept'} end
if redis.call('HLEN', KEYS[2]) >= tonumber(most) then return {'full'} end
redis.call('HSET', KEYS[2], field, state)
redis.call('ZADD', calls, due, call)
local turn = redis.call('ZSCORE', KEYS[1], campaign)
if not turn or tonumber(turn) > tonumber(due) then redis.call('ZADD', KEYS[1], due, campaign) end
redis.call('PEXPIRE', KEYS[1], life)
redis.call('PEXPIRE', KEYS[2], life)
redis.call('PEXPIRE', calls, life)
return {'added'}
