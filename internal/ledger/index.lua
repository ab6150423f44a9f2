-- index.lua enters a campaign in the open index, where the sweeper finds it, and in the list of its kind. If the list
-- already has an entry for the campaign, the script does not change it. The score is the time by Redis' clock.
-- KEYS: 1 open index, 2 list (omitted in a cluster, where the list may be on another server)
-- ARGV, in the order of indexArgs:
--   id  campaign id
-- Returns {now ms}
local id = unpack(ARGV)
local t = redis.call('TIME')
local now = string.format('%.0f', tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000))
redis.call('ZADD', KEYS[1], now, id)
if KEYS[2] then redis.call('ZADD', KEYS[2], 'NX', now, id) end
return {now}
