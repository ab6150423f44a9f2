-- answered.lua stores that the gateway answered a request, or that the time limit of the request is over. The request
-- then keeps its part of the budget for the time in the argument "window". If the caller still has the lease of the
-- call, the script also stores the position of the next message of the call.
-- KEYS: 1 states of the calls, 2 requests by the time at which their part of the budget is free again
-- ARGV, in the order of answeredArgs:
--   campaign  'id:upload'
--   call      'batch.call.generation'
--   token     of the lease
--   request   names the request
--   window    ms
--   position  of the next message in the call
-- Returns {'kept'}, or {'lost'} if the lease has ended and another process may have the call. After a repeated run
-- the request keeps its part for the whole time again.
local campaign, call, token, request, window, position = unpack(ARGV)
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
redis.call('ZADD', KEYS[2], string.format('%.0f', now + tonumber(window)), request)
redis.call('PEXPIRE', KEYS[2], string.format('%.0f', 2 * tonumber(window) + 60000))
local field = campaign .. ' ' .. call
local accepted, step, _, by = string.match(redis.call('HGET', KEYS[1], field) or '', '^(%d+) (%d+) (%d+) (%S+)$')
if by ~= token then return {'lost'} end
redis.call('HSET', KEYS[1], field, accepted .. ' ' .. step .. ' ' .. position .. ' ' .. token)
return {'kept'}
