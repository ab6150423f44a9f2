-- index.lua enters a campaign in the open index, where the sweeper finds it. The score of the entry is the time by
-- Redis' clock.
-- KEYS: 1 open index
-- ARGV, in the order of indexArgs:
--   id  campaign id
-- Returns {now ms}
local id = unpack(ARGV)
local t = redis.call('TIME')
local now = string.format('%.0f', tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000))
redis.call('ZADD', KEYS[1], now, id)
return {now}
