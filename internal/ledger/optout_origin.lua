-- optout_origin.lua returns the number of an origin of opt-outs, and assigns one if it has none.
-- KEYS: 1 data of all lists
-- ARGV: 1 origin, 2 first number to assign, 3 last number to assign, 4 number for every origin after those
-- Returns {number}
local n = redis.call('HGET', KEYS[1], 'o:' .. ARGV[1])
if n then return {n} end
local given = tonumber(redis.call('HGET', KEYS[1], 'origins') or ARGV[2])
if given > tonumber(ARGV[3]) then return {ARGV[4]} end
redis.call('HSET', KEYS[1], 'origins', tostring(given + 1), 'o:' .. ARGV[1], tostring(given), 'i:' .. given, ARGV[1])
return {tostring(given)}
