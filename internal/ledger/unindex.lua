-- unindex.lua removes a campaign from the open index, if the entry is old enough and still the one that the caller read.
-- KEYS: 1 open index
-- ARGV, in the order of unindexArgs:
--   id          campaign id
--   read_score  score that the caller read
--   min_age     minimum age of the entry in ms
-- Returns {'gone'|'kept'}. A run that answers 'kept' changes nothing.
local id, read_score, min_age = unpack(ARGV)
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local score = redis.call('ZSCORE', KEYS[1], id)
if not score then return {'gone'} end
if tonumber(score) ~= tonumber(read_score) or now - tonumber(score) < tonumber(min_age) then return {'kept'} end
redis.call('ZREM', KEYS[1], id)
return {'gone'}
