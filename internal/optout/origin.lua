-- origin.lua returns the number of an origin of opt-outs. If the origin has no number yet, the script assigns one.
-- KEYS: 1 data of all lists
-- ARGV, in the order of originArgs:
--   origin
--   first  first number to assign
--   last   last number to assign
--   other  number for every further origin
-- Returns {number}
local origin, first, last, other = unpack(ARGV)
local n = redis.call('HGET', KEYS[1], 'o:' .. origin)
if n then return {n} end
local given = tonumber(redis.call('HGET', KEYS[1], 'origins') or first)
if given > tonumber(last) then return {other} end
redis.call('HSET', KEYS[1], 'origins', tostring(given + 1), 'o:' .. origin, tostring(given), 'i:' .. given, origin)
return {tostring(given)}
