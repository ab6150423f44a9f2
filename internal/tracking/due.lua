-- due.lua returns the parked delivery reports that are due to be matched again, and postpones each of them. The time to
-- the next match is half the age of the report, and at most five minutes. It removes reports that have waited too long.
-- KEYS: 1 parked reports by message id, 2 their message ids by the time of the next match
-- ARGV, in the order of dueArgs:
--   most   maximum number of reports to return
--   life   ms for which a report waits
--   least  minimum time in ms between two matches
-- Returns 'due' and then for each report: 'due' or 'over', its message id, its record
local most, life, least = unpack(ARGV)
local t, out = redis.call('TIME'), {'due'}
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local function int(n) return string.format('%.0f', n) end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', int(now), 'LIMIT', 0, most)) do
  local record = redis.call('HGET', KEYS[1], id)
  local since = record and tonumber(string.match(record, '^(%d+) ') or 0)
  if not record then
    redis.call('ZREM', KEYS[2], id)
  elseif now - since >= tonumber(life) then
    redis.call('HDEL', KEYS[1], id)
    redis.call('ZREM', KEYS[2], id)
    out[#out + 1], out[#out + 2], out[#out + 3] = 'over', id, record
  else
    redis.call('ZADD', KEYS[2], int(now + math.max(tonumber(least), math.min((now - since) / 2, 300000))), id)
    out[#out + 1], out[#out + 2], out[#out + 3] = 'due', id, record
  end
end
return out
