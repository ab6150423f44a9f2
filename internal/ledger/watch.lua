-- watch.lua sets the next time at which the sweeper checks a batch, or the plan. For closed work it does nothing.
-- KEYS: 1 ledger, 2 open set
-- ARGV, in the order of watchArgs:
--   batch     or 'plan'
--   at        in ms
--   at_most   ms until the sweeper checks work of a campaign that was stopped
--   stopped   1: the caller knows that the campaign is stopped, and `at` counts | 0
-- Returns {'ok'}
-- A worker may wait for sending hours or a long back-off, and set the watch just after the campaign was stopped. Then
-- the wait no longer counts, because the campaign must end now.
local batch, at, at_most, stopped = unpack(ARGV)
if stopped == '0' and redis.call('HEXISTS', KEYS[1], 'stop') == 1 then
  local t = redis.call('TIME')
  at = string.format('%d', math.min(tonumber(at), t[1] * 1000 + math.floor(t[2] / 1000) + tonumber(at_most)))
end
redis.call('ZADD', KEYS[2], 'XX', at, batch)
return {'ok'}
