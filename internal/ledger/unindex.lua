-- unindex.lua takes a campaign off the open index if the entry is the one that was looked at, and old enough.
-- KEYS: 1 open index
-- ARGV: 1 campaign id, 2 score that was read, 3 ms an entry must be old
-- Returns {'gone'|'kept'}
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score then return {'gone'} end
if tonumber(score) ~= tonumber(ARGV[2]) or now - tonumber(score) < tonumber(ARGV[3]) then return {'kept'} end
redis.call('ZREM', KEYS[1], ARGV[1])
return {'gone'}
