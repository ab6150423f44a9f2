-- optout_origin.lua numbers an origin of opt-outs.
-- KEYS: 1 what is kept of all lists
-- ARGV: 1 origin, 2 first number to give, 3 last; 4 the number that stands for all that come later
-- Returns {number}
local n = redis.call('HGET', KEYS[1], 'o:' .. ARGV[1])
if n then return {n} end
local given = tonumber(redis.call('HGET', KEYS[1], 'origins') or ARGV[2])
if given > tonumber(ARGV[3]) then return {ARGV[4]} end
redis.call('HSET', KEYS[1], 'origins', tostring(given + 1), 'o:' .. ARGV[1], tostring(given), 'i:' .. given, ARGV[1])
return {tostring(given)}
