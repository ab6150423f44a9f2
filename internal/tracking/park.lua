-- park.lua keeps delivery reports whose message is not known yet. If several reports are about one message, it keeps
-- the first report.
-- KEYS: 1 parked reports by message id, 2 their message ids by the time of the next match
-- ARGV, in the order of parkArgs:
--   most      maximum number of kept reports
--   first_in  ms until the first match by due.lua
-- then for each report, in the order of parkedArgs:
--   id
--   record
-- Returns one word for each report: 'parked', 'kept' (a report about this message was parked before), or 'full'.
-- Running it again answers 'kept' and changes nothing.
local most, first_in = unpack(ARGV, 1, 2)
local t, out = redis.call('TIME'), {}
local due = string.format('%.0f', tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000) + tonumber(first_in))
local room = tonumber(most) - redis.call('HLEN', KEYS[1])
for i = 3, #ARGV, 2 do
  local id, record = unpack(ARGV, i, i + 1)
  if redis.call('HEXISTS', KEYS[1], id) == 1 then
    out[#out + 1] = 'kept'
  elseif room <= 0 then
    out[#out + 1] = 'full'
  else
    room = room - 1
    redis.call('HSET', KEYS[1], id, record)
    redis.call('ZADD', KEYS[2], due, id)
    out[#out + 1] = 'parked'
  end
end
return out
