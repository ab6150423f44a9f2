-- unindex.lua removes a campaign from the open index, if the entry is old enough and still the one that the caller read.
-- KEYS: 1 open index
-- ARGV: 1 campaign id, 2 score that was read, 3 minimum age of the entry in ms
-- Returns {'gone'|'kept'}. 'kept' changes nothing.
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score then return {'gone'} end
if tonumber(score) ~= tonumber(ARGV[2]) or now - tonumber(score) < tonumber(ARGV[3]) then return {'kept'} end
redis.call('ZREM', KEYS[1], ARGV[1])
return {'gone'}
