-- put.lua ends the lease of a call. The call waits until it is due again, or is removed.
-- KEYS: 1 campaigns by the time of their next turn, 2 states of the calls
-- ARGV, in the order of putArgs:
--   campaign  'id:upload'
--   call      'batch.call.generation'
--   token     of the lease
--   due       ms: when the call is due again; 0 removes the call
--   step      next step of the schedule
--   position  of the next message in the call
-- Returns {'put'} or {'lost'} (another process may have the call). Running it again answers 'lost'.
local campaign, call, token, due, step, position = unpack(ARGV)
local calls, field = KEYS[1] .. ':c:' .. campaign, campaign .. ' ' .. call
local accepted, by = string.match(redis.call('HGET', KEYS[2], field) or '', '^(%d+) %d+ %d+ (%S+)$')
if by ~= token then return {'lost'} end
if tonumber(due) == 0 then
  redis.call('HDEL', KEYS[2], field)
  redis.call('ZREM', calls, call)
  if redis.call('EXISTS', calls) == 0 then redis.call('ZREM', KEYS[1], campaign) end
  return {'put'}
end
redis.call('HSET', KEYS[2], field, accepted .. ' ' .. step .. ' ' .. position .. ' -')
redis.call('ZADD', calls, due, call)
-- If the call is due already, the campaign's turn is the present time. So campaigns that have waited
-- longer come first.
local t = redis.call('TIME')
local turn = math.max(tonumber(due), tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000))
local old = redis.call('ZSCORE', KEYS[1], campaign)
if not old or tonumber(old) > turn then redis.call('ZADD', KEYS[1], string.format('%.0f', turn), campaign) end
return {'put'}
