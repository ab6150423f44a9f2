-- take.lua leases a call whose delivery reports are due. It chooses the campaign whose turn is the earliest, and takes
-- the call of this campaign that has been due longest. The campaign then waits behind all other campaigns that have due
-- calls.
-- KEYS: 1 campaigns by the time of their next turn, 2 states of the calls
-- ARGV, in the order of takeArgs:
--   token  of the lease
--   lease  ms
-- Returns {'call', campaign, call, due, accepted, step, position}, {'wait', ms} or {'none'}. A repeated run leases
-- another call. The first call can be leased again when its lease has ended.
local token, lease = unpack(ARGV)
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local function int(n) return string.format('%.0f', n) end
for _ = 1, 100 do
  local head = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  local campaign = head[1]
  if not campaign then return {'none'} end
  if tonumber(head[2]) > now then return {'wait', int(tonumber(head[2]) - now)} end
  local calls = KEYS[1] .. ':c:' .. campaign
  local first = redis.call('ZRANGE', calls, 0, 1, 'WITHSCORES')
  local call = first[1]
  if not call then
    redis.call('ZREM', KEYS[1], campaign)
  elseif tonumber(first[2]) > now then
    redis.call('ZADD', KEYS[1], first[2], campaign)
  else
    local field = campaign .. ' ' .. call
    local accepted, step, position = string.match(redis.call('HGET', KEYS[2], field) or '', '^(%d+) (%d+) (%d+) ')
    if not accepted then
      redis.call('ZREM', calls, call)
      redis.call('HDEL', KEYS[2], field)
    else
      redis.call('HSET', KEYS[2], field, accepted .. ' ' .. step .. ' ' .. position .. ' ' .. token)
      redis.call('ZADD', calls, int(now + tonumber(lease)), call)
      redis.call('ZADD', KEYS[1], int(math.max(now, tonumber(first[4] or now + tonumber(lease)))), campaign)
      return {'call', campaign, call, int(tonumber(first[2])), accepted, step, position}
    end
  end
end
return {'wait', '1'}
