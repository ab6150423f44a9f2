-- ask.lua grants one request out of the budget of a login, and extends the lease of the call that the request is about.
-- The budget has parts. A granted request occupies one part until its answer, and then for the time budget.window
-- (answered.lua). So the gateway gets at most one request for each part in any period of that length.
-- KEYS: 1 campaigns by the time of their next turn, 2 states of the calls, 3 requests by the time at which their part
--   is free again
-- ARGV, in the order of askArgs:
--   campaign  'id:upload'
--   call      'batch.call.generation'
--   token     of the lease
--   request   names the request
--   parts     number of parts of the budget
--   lease     ms
-- Returns {'go'}, {'wait', ms} (the budget is used up), or {'lost'} (another process may have the call). Running it again
-- with the same request returns 'go' again.
local campaign, call, token, request, parts, lease = unpack(ARGV)
local state = redis.call('HGET', KEYS[2], campaign .. ' ' .. call)
if not state or string.match(state, '(%S+)$') ~= token then return {'lost'} end
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local function int(n) return string.format('%.0f', n) end
local till = int(now + tonumber(lease))
redis.call('ZADD', KEYS[1] .. ':c:' .. campaign, till, call)
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', int(now))
if not redis.call('ZSCORE', KEYS[3], request) and redis.call('ZCARD', KEYS[3]) >= tonumber(parts) then
  local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
  return {'wait', int(math.max(1, tonumber(first[2]) - now))}
end
redis.call('ZADD', KEYS[3], till, request)
redis.call('PEXPIRE', KEYS[3], int(2 * tonumber(lease)))
return {'go'}
